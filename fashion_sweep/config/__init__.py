"""The config: its types, constraints and targets, what of it is secret, and the spec that is made of it."""
