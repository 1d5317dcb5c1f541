"""Where configs find the trainer ``compiled``: the name is part of what a run is known by."""

from fashion_sweep.training.packed import compiled

__all__ = ["compiled"]
