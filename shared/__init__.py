"""What every plane stands on, and the domain services they share."""
