"""The names that shops answer at."""
