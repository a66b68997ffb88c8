"""Payments of tenants, through their own accounts at payment providers."""
