"""All rows of a published table: cross-validations and fusions, beside the figures that were published."""
