"""Components of a user's own."""
