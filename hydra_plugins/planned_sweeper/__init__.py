"""A Hydra sweeper for task functions that plan their jobs themselves."""
