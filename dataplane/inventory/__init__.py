"""What a shop has in stock: locations, levels, reservations and movements."""
