"""Extractors from waveforms to frames, and the content-addressed store that keeps what they made."""
