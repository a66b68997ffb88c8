"""gRPC for every plane: servers and channels made in one place, with the same chain of parts around every method."""
