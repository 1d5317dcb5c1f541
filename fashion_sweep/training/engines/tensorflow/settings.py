"""TensorFlow's process-wide settings that code of a run may change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """How to read and to set each; nothing where TensorFlow is not imported."""
    tf = sys.modules.get("tensorflow")
    if tf is None:
        return
    yield tf.config.functions_run_eagerly, tf.config.run_functions_eagerly
    yield tf.config.get_soft_device_placement, tf.config.set_soft_device_placement
    yield tf.config.optimizer.get_jit, lambda jit: tf.config.optimizer.set_jit(jit or False)
    yield tf.config.optimizer.get_experimental_options, tf.config.optimizer.set_experimental_options
    precision = tf.config.experimental
    yield precision.tensor_float_32_execution_enabled, precision.enable_tensor_float_32_execution
