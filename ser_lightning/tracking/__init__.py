"""Weights & Biases: ids, groups, tables, offline by default."""
