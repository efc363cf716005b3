"""A package of a user whose model misbehaves when it is told to."""
