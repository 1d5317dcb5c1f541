"""The data of a sweep on TensorFlow's device."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tensorflow as tf

from fashion_sweep.data.split import Split, divisor
from fashion_sweep.training.engines.base import Arrays, compact


@lru_cache(maxsize=1)
def device_arrays(split: Split) -> Arrays:
    """The data on its device, kept for the next pack of a sweep."""
    labels = [tf.constant(side) for side in (split.y_train, split.y_val)]
    images = [tf.constant(np.ascontiguousarray(compact(side))) for side in (split.x_train, split.x_val)]
    return Arrays(images[0], labels[0], images[1], labels[1], tf.constant(divisor(split.x_train)))
