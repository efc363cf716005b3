"""Processes of one host and of a scheduler's job: started, shared out, stopped, told apart, and how each ended."""
