"""What is made of finished runs and cross-validations: comparison, late fusion, the report."""
