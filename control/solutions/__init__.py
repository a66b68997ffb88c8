"""The solutions of the marketplace, and the keys of their servers."""
