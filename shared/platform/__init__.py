"""The whole platform on one machine: which processes, on which ports, and who keeps them running."""
