"""Training: from the configs of runs to their folders filled."""
