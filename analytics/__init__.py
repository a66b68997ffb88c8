"""The analytics plane."""
