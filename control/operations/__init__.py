"""Long work in steps, and what operators need to run the platform."""
