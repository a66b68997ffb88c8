"""The library every plane stands on."""
