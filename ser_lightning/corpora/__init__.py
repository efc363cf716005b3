"""Corpora: folders on disk become tables of utterances. One file a corpus over one scan."""
