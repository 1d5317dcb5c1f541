"""Builds networks and optimizers from configs."""

from fashion_sweep.models.networks import cnn, mlp, softmax

__all__ = ["cnn", "mlp", "softmax"]  # configs refer to them by these names
