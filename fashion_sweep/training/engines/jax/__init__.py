"""JAX as an engine."""
