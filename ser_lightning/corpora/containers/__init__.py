"""What containers of audio say about themselves, so that reading is known to have reached their end.

libsndfile shortens silently where a file holds less than its header declares, reads lengths from headers that streams
never completed, and of files joined together the first.
"""
