"""Envoy's external authorization for solutions, by the platform's one decision function."""
