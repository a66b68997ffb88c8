"""What this cluster knows of the tenants, and what each may do here."""
