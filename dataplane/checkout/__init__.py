"""How carts become orders, and how a shop sells."""
