"""What conf/ ships needs no trial, and whatever differs from it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from fashion_sweep import app
from fashion_sweep.config.shipped import ships
from fashion_sweep.planning import run_spec

Compose = Callable[..., DictConfig]
GROUPS = ("model", "optimizer", "schedule", "callbacks")
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((app.CONF / group).glob("*.yaml"))]


def shipped(composed: Compose, *overrides: str) -> list[str]:
    """The groups whose nodes are shipped."""
    config = run_spec.resolved(composed("data=synthetic", *overrides))
    return [group for group in GROUPS if group in config and ships(group, config[group])]


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids="=".join)
def test_every_choice_is_shipped_as_hydra_composes_it(composed: Compose, group: str, choice: str) -> None:
    assert group in shipped(composed, f"{group}={choice}")


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.learning_rate=0.5", "model.dropout=0.3", "model.hidden_units=[300,100]", "callbacks.checkpoint=null",
        "seed=3", "model.activation=sigmoid",
    ],
)  # fmt: skip
def test_numbers_that_are_checked_may_differ(composed: Compose, override: str) -> None:
    assert shipped(composed, override) == list(GROUPS)


@pytest.mark.parametrize(
    "override",
    [
        "model.activation=tanh", "optimizer.clipnorm=1", "optimizer.amsgrad=true",
        "optimizer._target_=keras.optimizers.SGD", "+schedule={_target_: keras.optimizers.schedules.CosineDecay}",
        "callbacks.checkpoint.save_weights_only=true", "callbacks.checkpoint.monitor=accuracy",
        "+callbacks.more={_target_: keras.callbacks.TerminateOnNaN}", "callbacks.checkpoint.filepath=best.h5",
    ],
)  # fmt: skip
def test_anything_else_has_to_be_tried(composed: Compose, override: str) -> None:
    group = override.lstrip("+").partition("=")[0].partition(".")[0]
    assert shipped(composed, override) == [each for each in GROUPS if each != group]
