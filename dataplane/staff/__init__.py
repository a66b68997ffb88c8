"""Who runs a tenant's shop: its people with their roles, and the API keys of its programs."""
