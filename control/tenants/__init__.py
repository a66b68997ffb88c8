"""What a tenant is, and everything that is done to one."""
