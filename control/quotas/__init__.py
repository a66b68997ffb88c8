"""Quotas by lease: counters, what validators hold of them, usage, and the log of decisions."""
