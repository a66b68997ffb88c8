"""Shoppers who are customers of a tenant's shop: who they are, how they sign in, and that they can be forgotten."""
