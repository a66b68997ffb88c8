"""What variants cost besides their own prices: price lists by currency, quantity and time."""
