"""The xDS server: topology (what to serve) -> translate (pure) -> server (delta ADS)."""
