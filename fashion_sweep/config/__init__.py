"""The config: types, constraints, targets, redaction of secrets, and the run spec made from it."""
