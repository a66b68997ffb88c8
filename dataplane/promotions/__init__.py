"""What takes something off a cart: promotions, their rules, and who has used them."""
