"""Constraints on config values, beyond their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A constraint on the value of a key; a missing key or None satisfies it."""

    key: str  # dotted
    expected: str
    holds: Callable[[Any], bool]


def _at_least(bound: float) -> tuple[str, Callable[[Any], bool]]:
    return f"at least {bound:g}", lambda value: value >= bound


def _sizes(value: Any) -> bool:
    return len(value) > 0 and all(size >= 1 for size in value)


_POSITIVE = ("a number greater than 0", lambda value: 0 < value < math.inf)
_SIZES = ("one or more whole numbers, each at least 1, like [300,100]", _sizes)
_BELOW_ONE = ("in [0, 1)", lambda value: 0 <= value < 1)
_UNIT = ("in [0, 1]", lambda value: 0 <= value <= 1)

RULES = (
    Rule("epochs", *_at_least(1)),
    Rule("batch_size", *_at_least(1)),
    Rule("seed", "in [0, 4294967295]", lambda value: 0 <= value < 2**32),
    Rule("model.hidden_units", *_SIZES),
    Rule("model.filters", *_SIZES),
    Rule("model.kernel_size", *_at_least(1)),
    Rule("model.dense_units", *_at_least(1)),
    Rule("model.dropout", *_BELOW_ONE),
    Rule("model.max_iter", *_at_least(1)),
    Rule("optimizer.learning_rate", *_POSITIVE),
    Rule("optimizer.momentum", *_UNIT),
    Rule("optimizer.rho", *_BELOW_ONE),
    Rule("optimizer.beta_1", *_BELOW_ONE),
    Rule("optimizer.beta_2", *_BELOW_ONE),
    Rule("optimizer.epsilon", *_POSITIVE),
    Rule("optimizer.weight_decay", *_at_least(0)),
    Rule("optimizer.clipnorm", *_POSITIVE),
    Rule("optimizer.clipvalue", *_POSITIVE),
    Rule("optimizer.global_clipnorm", *_POSITIVE),
    Rule("optimizer.ema_momentum", *_UNIT),
    Rule("optimizer.gradient_accumulation_steps", *_at_least(2)),
    Rule("schedule.decay_steps", *_at_least(1)),
    Rule("schedule.decay_rate", *_POSITIVE),
    Rule("schedule.warmup_steps", *_at_least(0)),
    Rule("callbacks.early_stopping.patience", *_at_least(0)),
    Rule("data.validation_fraction", "in (0, 1)", lambda value: 0 < value < 1),
    Rule("data.split_seed", "in [0, 4294967295]", lambda value: 0 <= value < 2**32),
    Rule("data.limit", *_at_least(2)),
    Rule("data.samples", *_at_least(2)),
    Rule("data.image_size", *_at_least(1)),
    Rule("data.classes", *_at_least(2)),
    Rule("data.noise", "in [0, 100]", lambda value: 0 <= value <= 100),  # noqa: PLR2004
    Rule("hydra.launcher.lanes", *_at_least(1)),
    Rule("hydra.launcher.pack_size", *_at_least(1)),
    Rule("hydra.launcher.threads_per_lane", *_at_least(1)),
    Rule("hydra.launcher.run_timeout_min", *_POSITIVE),
    Rule("hydra.launcher.lane_memory_gib", *_POSITIVE),
    Rule("trainer.steps_per_execution", *_at_least(1)),
    Rule("trainer.folds", *_at_least(2)),
    Rule("trainer.jit_compile", "true, false or auto", lambda value: value in (True, False, "auto")),
)


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a resolved config, one line each; empty if nothing is."""
    found = ((rule, lookup(config, rule.key)) for rule in RULES)
    return [
        f"{rule.key} is {value}, expected {rule.expected}"
        for rule, value in found
        if value is not None and not _holds(rule, value)
    ]


def _holds(rule: Rule, value: Any) -> bool:
    """Whether the rule holds; a user's own group has no types, so a value of the wrong type fails the rule."""
    try:
        return rule.holds(value)
    except TypeError:
        return False


def lookup(config: Mapping[str, Any], dotted: str) -> Any:
    """The value at a dotted key; None if there is none."""
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node
