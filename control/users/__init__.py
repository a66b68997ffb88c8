"""Users: registration, verification, one-time codes, mail, export and erasure."""
