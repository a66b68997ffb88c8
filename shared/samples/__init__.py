"""Real domains and a real shop's order lines, turned into tenants and products."""
