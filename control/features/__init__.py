"""What tenants have: values, the effective set, and the streams that tell of it."""
