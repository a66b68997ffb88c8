"""What shops sell."""
