"""Folds and seeds of one experiment: runs that are started, followed and pooled."""
