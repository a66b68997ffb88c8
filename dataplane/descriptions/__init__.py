"""What a shop's domain speaks, described for programs."""
