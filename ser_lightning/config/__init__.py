"""The schema, composing conf/ with overrides, and a run's identity. Imports nothing heavy."""
