"""Migrations of a cluster's database."""
