"""The data of a sweep on JAX's device."""

from __future__ import annotations

from functools import lru_cache

import jax.numpy as jnp

from fashion_sweep.data.split import Split, divisor
from fashion_sweep.training.engines.base import Arrays, compact


@lru_cache(maxsize=1)
def device_arrays(split: Split) -> Arrays:
    """The data on its device, kept for the next pack of a sweep."""
    labels = [jnp.asarray(side.astype("int32")) for side in (split.y_train, split.y_val)]
    images = [jnp.asarray(compact(side)) for side in (split.x_train, split.x_val)]
    return Arrays(images[0], labels[0], images[1], labels[1], jnp.asarray(divisor(split.x_train)))
