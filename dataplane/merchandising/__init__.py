"""How a shop's people arrange what it sells, and how shoppers find their way through it."""
