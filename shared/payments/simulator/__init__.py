"""A payment provider for one machine and for tests: an HTTP server that speaks what is used of Stripe's API."""
