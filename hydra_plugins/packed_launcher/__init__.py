"""``hydra/launcher=packed``: what Hydra has to find here; the launcher itself is in ``packed_jobs``."""
