"""The bootstrap of the proxy, and the running of it."""
