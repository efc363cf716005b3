"""The report's page: views of finished systems, charts as inline SVG, and the templates that show them."""
