from __future__ import annotations

import numpy as np
import tensorflow as tf

from fashion_sweep.training.noise import scales, thresholds, unit_bits


def test_dropout_masks_are_even_independent_and_the_same_compiled_and_not():
    seeds = tf.constant([0, 1, 2**31], tf.uint32)
    plain = unit_bits(seeds, tf.constant(7, tf.uint32), 0, 50_000)
    jitted = tf.function(lambda step: unit_bits(seeds, step, 0, 50_000), jit_compile=True)(tf.constant(7, tf.uint32))
    np.testing.assert_array_equal(plain, jitted)
    streams = [plain[0], plain[1], plain[2]]
    streams += [
        unit_bits(seeds, tf.constant(8, tf.uint32), 0, 50_000)[0],
        unit_bits(seeds, tf.constant(7, tf.uint32), 1, 50_000)[0],
    ]
    uniform = np.stack([np.asarray(stream, "float64") / 2**32 for stream in streams])
    for rate in (0.1, 0.5, 0.9):
        kept = (uniform >= rate).mean(axis=1)
        np.testing.assert_allclose(kept, 1 - rate, atol=5 * np.sqrt(rate * (1 - rate) / 50_000))
    correlation = np.corrcoef(np.concatenate([uniform, np.roll(uniform, 1, axis=1)]))
    assert np.abs(correlation - np.eye(10)).max() < 5 / np.sqrt(50_000)
    assert thresholds([0.0, 0.5]).tolist() == [0, 2**31]
    assert scales([0.0, 0.5, 0.75]).tolist() == [1.0, 2.0, 4.0]
