"""AccessService: its parts, put together."""
