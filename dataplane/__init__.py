"""The data plane: one server a cluster, where the shops' own data lives."""
