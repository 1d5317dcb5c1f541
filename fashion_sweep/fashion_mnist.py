"""Where configs find Fashion-MNIST: the name ``fashion_sweep.fashion_mnist.load`` is part of what a run is known by."""

from fashion_sweep.data.fashion_mnist import load

__all__ = ["load"]
