"""The edge: routes over xDS for Envoy."""
