"""Plans and their versions, add-ons, overrides, rollouts and kill switches: what operators say about features."""
