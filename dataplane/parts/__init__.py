"""The parts of a cluster's process: what each is wired from, what it answers, and what it does beside."""
