"""What tenants' plans give them here, and what that refuses."""
