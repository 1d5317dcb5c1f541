"""Engines compile programs that train and validate packs of runs."""
