from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from fixture_types import MakeSpec
from scipy import stats

from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.engines.dropout import scales, thresholds, unit_bits
from fashion_sweep.training.train import RunSpec, train


def test_dropout_masks_are_even_independent_and_the_same_compiled_and_not() -> None:
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
    assert thresholds(1.0) == 2**32 - 1
    assert scales([0.0, 0.5, 0.75, 1.0]).tolist() == [1.0, 2.0, 4.0, 0.0]


SEEDS = range(7)
RARE = 1e-3
"""Probability below which a difference is not put down to chance."""


@pytest.mark.slow
def test_replicates_of_fit_and_of_compiled_differ_by_chance_alone(make_spec: MakeSpec) -> None:
    """Replicates of one seed have the same first weights and batches, and masks of two kinds: so they are compared."""
    words = ("data.samples=1200", "batch_size=20", "epochs=4", "callbacks=none", "save=none", "model.hidden_units=[40]")

    def last_rows(trainer: str, *rates: float) -> list[list[dict[str, float]]]:
        """The last epoch of each replicate, by dropout rate."""
        given = (*words, "optimizer.learning_rate=0.003", f"trainer={trainer}")

        def spec(rate: float, seed: int) -> RunSpec:
            return make_spec(*given, f"model.dropout={rate}", f"seed={seed}", folder=f"{trainer}{rate}{seed}")

        specs = [[spec(rate, seed) for seed in SEEDS] for rate in rates]
        train([each for replicates in specs for each in replicates])
        return [[RunDir(each.folder).read_history()[-1] for each in replicates] for replicates in specs]

    def chance(one: list[dict[str, float]], two: list[dict[str, float]], name: str) -> float:
        return float(stats.ttest_rel([row[name] for row in one], [row[name] for row in two]).pvalue)

    fit_low, fit_high = last_rows("fit", 0.3, 0.5)
    low, lower, high = last_rows("compiled", 0.3, 0.2, 0.5)
    for name in ("loss", "val_loss"):
        assert chance(fit_low, low, name) > RARE
        assert chance(fit_high, high, name) > RARE
        assert chance(fit_low, lower, name) < RARE  # a tenth less is seen
