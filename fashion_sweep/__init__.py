"""A Hydra-configured sweep harness for training small neural networks."""
