"""Webhooks out: a tenant's events, signed and sent to its own endpoints."""
