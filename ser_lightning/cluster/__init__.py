"""Submitting to a scheduler, and what can be known before."""
