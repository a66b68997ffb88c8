"""What solutions and other programs use of the platform: decisions on leases, and features, pushed."""
