"""Where configs find cross-validation: the name is part of what a run is known by."""

from fashion_sweep.training.cross_validation import cross_validation

__all__ = ["cross_validation"]
