"""A Hydra sweeper for task functions that know which jobs of a grid are still to be done."""
