"""What is tried of each module of Keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from conformance import networks
from conformance.arguments import OF_EVERY_OPTIMIZER, Node, needed, others
from conformance.exports import MODULES, Entry, entries
from conformance.layers import Variant, bench, made, variants
from conformance.reference import draws

IN_BRANCHES = ("layers", "regularizers", "constraints", "initializers", "activations", "dtype_policies")
"""Modules whose entries are tried in branches of a network."""

OPTIMIZER_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
"""Each optimizer takes one of these at a time, and each is tried with some of the optimizers."""

TOGETHER = 10
"""Branches of one network, at most."""


Expect = Callable[[keras.Model, Any], str]
"""How an engine would train a model with an optimizer: packed or alone."""


@dataclass(frozen=True)
class Case:
    """What one program is made for."""

    labels: tuple[str, ...]  # what is tried in it
    parts: Node  # of a config, where it is not as usual
    branches: tuple[Variant, ...] = ()  # of its model; empty: a small network
    expected: str = "packed"
    has_noise: bool = False  # whether it draws random numbers, other than those of Dropout
    has_masks: bool = False  # whether it has Dropout
    is_half: bool = False  # whether it computes in fewer than 32 bits

    @property
    def reference(self) -> str:
        """How the plain Keras loop has to run: see ``reference.plain_keras``."""
        if self.has_noise:
            return "compiled"
        return "masked" if self.has_masks else "quick"

    @property
    def has_partial_batches(self) -> bool:
        """Whether the last batches of an epoch are smaller: it matters to what is drawn, and is tried with defaults."""
        return self.has_noise or self.has_masks or self.labels[0].endswith("()")

    def halves(self) -> list[Case]:
        """Two cases that together try the same; none for a case of one branch."""
        middle = len(self.branches) // 2
        return [_of_branches(some, self) for some in (self.branches[:middle], self.branches[middle:]) if middle]

    def singles(self) -> list[Case]:
        """For a case of one branch: cases that differ from the default in one argument each."""
        return [_of_branches([each], self) for each in self.branches[0].singles()] if len(self.branches) == 1 else []


@dataclass
class Plan:
    """All cases, and what cannot be tried."""

    cases: list[Case] = field(default_factory=list)
    refused: dict[str, str] = field(
        default_factory=dict
    )  # entry and argument -> why Keras does not take its other value
    unknown: list[str] = field(default_factory=list)  # what Keras has grown that the suite cannot build


def plan(expect: Expect, modules: Sequence[str] = MODULES, match: str = "") -> Plan:
    """Everything that Keras exports. match: a text in the keys of entries to try."""
    planned = Plan()
    branches: list[Variant] = []
    for entry in (entry for module in modules for entry in entries(module) if match in entry.key):
        try:
            if entry.module in IN_BRANCHES:
                found = variants(entry)
                branches += found.variants
                planned.refused |= {f"{entry.key}({name})": why for name, why in found.refused.items()}
            else:
                planned.cases += _of_entry(entry, expect)
        except Exception as error:
            planned.unknown.append(f"{entry.key}: {error}")
    planned.cases = [*_of_kinds(branches, expect), *planned.cases]
    return planned


def _of_kinds(branches: Sequence[Variant], expect: Expect) -> Iterator[Case]:
    """Cases of branches that an engine is expected to train alike."""
    kinds: dict[tuple[str, bool, bool, bool], list[Variant]] = {}
    for branch in branches:
        model = bench().model(branch.branch)
        kind = (expect(model, "sgd"), draws(model), _has_dropout(model), branch.is_half)
        kinds.setdefault(kind, []).append(branch)
    for (expected, noise, masks, half), some in kinds.items():
        like = Case((), {}, (), expected, noise, masks, half)
        yield from (_of_branches(some[start : start + TOGETHER], like) for start in range(0, len(some), TOGETHER))


def _of_branches(branches: Sequence[Variant], like: Case) -> Case:
    model = {"_target_": "conformance.networks.branched", "branches": [each.branch for each in branches]}
    labels = tuple(each.label for each in branches)
    return Case(labels, {"model": model}, tuple(branches), like.expected, like.has_noise, like.has_masks, like.is_half)


def _has_dropout(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.layers.Dropout) for layer in model._flatten_layers())


def _of_entry(entry: Entry, expect: Expect) -> Iterator[Case]:
    """The cases of an entry that is no part of a model: its defaults, and bins of its other arguments."""
    for changed, parts in _PARTS[entry.module](entry):
        expected = expect(networks.dense((8, 8), 5), made(parts.get("optimizer", "sgd")))
        yield Case((Variant(entry, {}, changed).label,), parts, expected=expected)


def _optimizers(entry: Entry) -> Iterator[tuple[Node, Node]]:
    rate = {"learning_rate": 0.1 if entry.name == "SGD" else 0.01}
    plain = {"_target_": entry.target, **needed(entry), **(rate if _takes_rate(entry) else {})}
    every = others(entry)
    turn = OPTIMIZER_CLIPS[len(entry.name) % len(OPTIMIZER_CLIPS)]
    own = {name: value for name, value in every.items() if name not in OF_EVERY_OPTIMIZER}
    shared = {name: value for name, value in every.items() if name in OF_EVERY_OPTIMIZER}
    shared = {name: value for name, value in shared.items() if name not in OPTIMIZER_CLIPS or name == turn}
    for changed in ({}, *_bins(plain, own), *_bins(plain, shared)):
        yield changed, {"optimizer": {**plain, **changed}}


def _takes_rate(entry: Entry) -> bool:
    return "learning_rate" in inspect.signature(entry.what).parameters


def _schedules(entry: Entry) -> Iterator[tuple[Node, Node]]:
    plain = {"_target_": entry.target, **needed(entry)}
    for changed in ({}, *_bins({**plain, "initial_learning_rate": 0.1} if _starts(entry) else plain, others(entry))):
        yield changed, {"schedule": {**plain, **changed}}


def _starts(entry: Entry) -> bool:
    return "initial_learning_rate" in inspect.signature(entry.what).parameters


def _callbacks(entry: Entry) -> Iterator[tuple[Node, Node]]:
    plain = {"_target_": entry.target, **needed(entry)}
    average = {"optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01, "use_ema": True}}
    for changed in ({}, *_bins(plain, others(entry))):
        parts = {"callbacks": {"own": {**plain, **changed}}, "epochs": 4}
        yield changed, {**parts, **(average if entry.name == "SwapEMAWeights" else {})}


_PARTS = {"optimizers": _optimizers, "optimizers.schedules": _schedules, "callbacks": _callbacks}


def _bins(plain: Node, every: Node) -> Iterator[Node]:
    """Other arguments, as many at once as the entry takes; one that it does not take at all is left out."""
    left = dict(every)
    while left:
        chosen: Node = {}
        for name in [*left, *left]:
            if name not in chosen and _is_taken({**plain, **chosen, name: left[name]}):
                chosen[name] = left[name]
        if not chosen:
            return
        yield chosen
        left = {name: value for name, value in left.items() if name not in chosen}


def _is_taken(node: Node) -> bool:
    try:
        made(node)
    except Exception:
        return False
    return True
