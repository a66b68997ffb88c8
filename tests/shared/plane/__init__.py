"""A plane as small as one can be: what the runtime's tests migrate and query."""
