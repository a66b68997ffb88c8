"""The example solution: search over a product catalogue, registered as data, validated by Envoy and by the SDK."""
