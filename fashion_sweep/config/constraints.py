"""What the values of a config must be, beyond their types.

A constraint belongs to what it is about: those of a group hold where its ``_target_`` is the function or class that
they were written for, and a key of the same name in somebody's own model or dataset is free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fashion_sweep.storage.record import OBJECTIVES
from packed_jobs.local.devices import most


class Constraint(NamedTuple):
    """What a value must be, wherever its key is present and its value not None."""

    key: str  # of the node that it belongs to; dotted
    expected: str
    holds: Callable[[Any], bool]


def _at_least(bound: float) -> tuple[str, Callable[[Any], bool]]:
    return f"at least {bound:g}", lambda value: value >= bound


def _up_to(bound: int) -> tuple[str, Callable[[Any], bool]]:
    return f"at least 1 and at most {bound}", lambda value: 1 <= value <= bound


def _sizes(value: Any) -> bool:
    return len(value) > 0 and all(size >= 1 for size in value)


_POSITIVE = ("a number greater than 0", lambda value: 0 < value < math.inf)
_SIZES = ("one or more whole numbers, each at least 1, like [300,100]", _sizes)
_BELOW_ONE = ("in [0, 1)", lambda value: 0 <= value < 1)
_UNIT = ("in [0, 1]", lambda value: 0 <= value <= 1)
_ENGINE = ("auto, tensorflow or jax", lambda value: value in ("auto", "tensorflow", "jax"))
_OBJECTIVE = (" or ".join(OBJECTIVES), lambda value: value in OBJECTIVES)
_SEED = ("in [0, 4294967295]", lambda value: 0 <= value < 2**32)

EVERYWHERE = (
    Constraint("objective", *_OBJECTIVE),
    Constraint("epochs", *_at_least(1)),
    Constraint("batch_size", *_at_least(1)),
    Constraint("seed", *_SEED),
    # The split is ours, whatever function the dataset comes from.
    Constraint("data.validation_fraction", "in (0, 1)", lambda value: 0 < value < 1),
    Constraint("data.split_seed", *_SEED),
    Constraint("data.limit", *_at_least(2)),
    Constraint("hydra.launcher.lanes", *_up_to(most())),
    Constraint("hydra.launcher.pack_size", *_at_least(1)),
    Constraint("hydra.launcher.threads_per_lane", *_up_to(most())),
    Constraint("hydra.launcher.run_timeout_min", *_POSITIVE),
    Constraint("hydra.launcher.lane_memory_gib", *_POSITIVE),
)
"""Constraints of keys that belong to no ``_target_``."""

OF_TARGETS: Mapping[str, Sequence[Constraint]] = {
    "fashion_sweep.models.mlp": (
        Constraint("hidden_units", *_SIZES),
        Constraint("dropout", *_BELOW_ONE),
    ),
    "fashion_sweep.models.cnn": (
        Constraint("filters", *_SIZES),
        Constraint("kernel_size", *_at_least(1)),
        Constraint("dense_units", *_at_least(1)),
        Constraint("dropout", *_BELOW_ONE),
    ),
    "sklearn.linear_model.SGDClassifier": (Constraint("max_iter", *_at_least(1)),),
    "keras.optimizers.schedules.": (
        Constraint("decay_steps", *_at_least(1)),
        Constraint("decay_rate", *_POSITIVE),
        Constraint("warmup_steps", *_at_least(0)),
    ),
    "keras.optimizers.": (
        Constraint("learning_rate", *_POSITIVE),
        Constraint("momentum", *_UNIT),
        Constraint("rho", *_BELOW_ONE),
        Constraint("beta_1", *_BELOW_ONE),
        Constraint("beta_2", *_BELOW_ONE),
        Constraint("epsilon", *_POSITIVE),
        Constraint("weight_decay", *_at_least(0)),
        Constraint("clipnorm", *_POSITIVE),
        Constraint("clipvalue", *_POSITIVE),
        Constraint("global_clipnorm", *_POSITIVE),
        Constraint("ema_momentum", *_UNIT),
        Constraint("gradient_accumulation_steps", *_at_least(2)),
    ),
    "keras.callbacks.EarlyStopping": (Constraint("patience", *_at_least(0)),),
    "fashion_sweep.training.compiled.compiled": (Constraint("engine", *_ENGINE),),
    "fashion_sweep.data.synthetic": (
        Constraint("samples", *_at_least(2)),
        Constraint("image_size", *_at_least(1)),
        Constraint("classes", *_at_least(2)),
        Constraint("noise", "in [0, 100]", lambda value: 0 <= value <= 100),  # noqa: PLR2004
    ),
}
"""Constraints of the keys beside a ``_target_``; a name that ends with a dot stands for all that is in a module."""


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a resolved config, one line each; empty where nothing is."""
    found = [("", config, constraint) for constraint in EVERYWHERE]
    found += [(prefix, node, each) for prefix, node in _nodes(config) for each in _constraints(str(node["_target_"]))]
    values = ((prefix, constraint, lookup(node, constraint.key)) for prefix, node, constraint in found)
    return [
        f"{prefix}{constraint.key} is {value}, expected {constraint.expected}"
        for prefix, constraint, value in values
        if value is not None and not _holds(constraint, value)
    ]


def generalized(node: Any) -> Any:
    """A node with ``a number`` or ``numbers`` in the place of those that a constraint checks: equal for what is built
    from equal code with valid values.
    """
    if isinstance(node, Mapping):
        checked = {constraint.key for constraint in _constraints(str(node.get("_target_")))}
        return {key: _kind(value) if key in checked else generalized(value) for key, value in node.items()}
    return [generalized(item) for item in node] if isinstance(node, list) else node


def _kind(value: Any) -> Any:
    if isinstance(value, list) and all(_is_number(item) for item in value):
        return "numbers"
    return "a number" if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _nodes(node: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node that has a ``_target_``, with the dotted path to its keys."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield prefix, node
        for key, inner in node.items():
            yield from _nodes(inner, f"{prefix}{key}.")


def _constraints(target: str) -> Sequence[Constraint]:
    """Those of the longest name that fits."""
    names = [name for name in OF_TARGETS if target == name or (name.endswith(".") and target.startswith(name))]
    return OF_TARGETS[max(names, key=len)] if names else ()


def _holds(constraint: Constraint, value: Any) -> bool:
    """Whether the constraint holds; where a group has no types, a value of the wrong type does not satisfy it."""
    try:
        return constraint.holds(value)
    except TypeError:
        return False


def lookup(config: Mapping[str, Any], dotted: str) -> Any:
    """The value at a dotted key; None where there is none."""
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node
