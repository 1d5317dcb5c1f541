"""Images and labels, and where they come from."""

from fashion_sweep.data.npz_file import npz
from fashion_sweep.data.synthetic_images import synthetic

__all__ = ["npz", "synthetic"]  # configs refer to them by these names
