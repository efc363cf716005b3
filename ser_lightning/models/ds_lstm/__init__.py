"""The dual-sequence LSTM of Wang et al. 2020 (arXiv 1910.08874): two sequences, one memory."""
