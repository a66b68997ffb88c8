"""Regions, clusters and shards, and the placement of tenants on them."""
