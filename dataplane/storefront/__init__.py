"""What shoppers are about to buy."""
