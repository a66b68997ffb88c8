"""One revision of everything, and how it reaches the other planes."""
