"""Sweeps: what a study searches, the trials that are runs, and the workers that share them."""
