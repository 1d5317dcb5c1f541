"""Which branches of a network an entry is tried in: its defaults, and other arguments, as many at once as it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import keras
from hydra.utils import get_object

from conformance import networks
from conformance.arguments import Node, needed, others
from conformance.exports import Entry

BY_RANK = {2: "flat", 3: "sequence", 4: "map", 5: "volume", 6: "frames"}
"""What a layer is fed that says how many dimensions its input has."""

ANY = ("sequence", "map", "flat", "tokens", "integers", "image", "signal", "volume")
"""What others are fed: the first that they take."""

WHOLE_NUMBERS = ("embedding", "reversible_embedding", "category_encoding", "discretization", "hashed_crossing",
                 "hashing", "integer_lookup", "mel_spectrogram")  # fmt: skip
"""Modules of layers that are first fed a row of whole numbers."""

CELLS = ("layers.GRUCell", "layers.LSTMCell", "layers.SimpleRNNCell", "layers.StackedRNNCells")
HOLDERS: dict[str, tuple[Node, str]] = {
    **dict.fromkeys(CELLS, ({"_target_": "keras.layers.RNN"}, "cell")),
    "initializers.STFT": ({"_target_": "keras.layers.Conv1D", "filters": 9, "kernel_size": 16}, "kernel_initializer"),
    "regularizers": ({"_target_": "keras.layers.Dense", "units": 3}, "kernel_regularizer"),
    "constraints": ({"_target_": "keras.layers.Dense", "units": 3}, "kernel_constraint"),
    "initializers": ({"_target_": "keras.layers.Dense", "units": 3}, "kernel_initializer"),
    "activations": ({"_target_": "keras.layers.Dense", "units": 4}, "activation"),
    "dtype_policies": ({"_target_": "keras.layers.Dense", "units": 3}, "dtype"),
}
"""The layer, and its argument, in which an entry that is no layer is tried; by its key or its module."""

GROUPS = {"_regularizer": "penalties", "_constraint": "penalties", "data_format": "penalties", "dtype": "dtype",
          "trainable": "trainable"}  # fmt: skip
"""Arguments that are tried apart from all others, by the end of their names: an engine may pack those without."""


@dataclass(frozen=True)
class Variant:
    """One way to use an entry in a branch of a network."""

    entry: Entry
    branch: Node  # see networks.branched
    changed: Node = field(default_factory=dict)  # arguments that are not the default
    note: str = ""

    @property
    def label(self) -> str:
        given = [f"{name}={_short(value)}" for name, value in self.changed.items()]
        return f"{self.entry.key}({', '.join(given)}){self.note}"

    @property
    def is_half(self) -> bool:
        """Whether it computes in fewer than 32 bits."""
        return "dtype" in self.changed or self.entry.module == "dtype_policies"

    def singles(self) -> list[Variant]:
        """Variants with one of the changed arguments each: to name the one that is wrong."""
        return [_with(self.entry, self._plain, {name: value}) for name, value in self.changed.items()]

    @property
    def _plain(self) -> Node:
        return {**self.branch, "layer": _layer(self.entry, needed(self.entry))}


@dataclass
class Variants:
    """What an entry is tried with, and the arguments of which Keras itself does not take the other value."""

    variants: list[Variant]
    refused: dict[str, str] = field(default_factory=dict)  # argument -> why


def variants(entry: Entry) -> Variants:
    """The variants of an entry. Raises ValueError where it takes nothing that the suite can feed it."""
    node = _layer(entry, needed(entry))
    first, why = _first_feed(node)
    if first is None:
        raise ValueError(f"Keras has grown {entry.key}: add how to build it ({why})")
    found = Variants([Variant(entry, first)])
    if _rank(node) is None and first["feed"] in ("sequence", "map") and why_not({**first, "feed": "flat"}) is None:
        found.variants.append(Variant(entry, {**first, "feed": "flat"}, note=" of a row"))
    for group in _grouped(others(entry), has_weights=has_weights(first)):
        found.variants += _bins(entry, first, group, found.refused)
    return found


class Bench:
    """Where branches are tried out: what layers are fed is made once."""

    def __init__(self) -> None:
        self.images = keras.Input((8, 8))
        self.feeds: dict[str, Any] = {}

    def model(self, branch: Node) -> keras.Model:
        """A model with the layer of a branch. Raises what Keras raises."""
        end = self.end(made(branch))
        if any(size is None for size in end.shape[1:]):
            raise ValueError("its shape is not known")
        return keras.Model(self.images, end)

    def end(self, parts: Node) -> Any:
        """What the layer makes of its feed; a feed that the layer returns as it is belongs to no other from then on."""
        end = networks.flat_result(self.images, self.feeds, **parts)
        self.feeds.pop("image", None)
        return end


@lru_cache
def bench() -> Bench:
    """The one of this process."""
    return Bench()


def why_not(branch: Node) -> str | None:
    """Why Keras cannot make a network with this branch; None if it can."""
    try:
        bench().model(branch)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None


def has_weights(branch: Node) -> bool:
    """Whether the layer of a branch has weights of its own."""
    parts = made(branch)
    bench().end(parts)
    return bool(getattr(parts["layer"], "weights", None))


def made(node: Any) -> Any:
    """What a node of a config stands for; as Hydra makes it, but in a fraction of the time."""
    if isinstance(node, list):
        return [made(each) for each in node]
    if not isinstance(node, dict):
        return node
    arguments = {name: made(value) for name, value in node.items() if name != "_target_"}
    return get_object(node["_target_"])(**arguments) if "_target_" in node else arguments


def _layer(entry: Entry, arguments: Node) -> Node:
    """The node of the layer that an entry is, or that holds it."""
    node = {"_target_": entry.target, **arguments}
    if not inspect.isclass(entry.what):
        node = {"_target_": "conformance.networks.function", "name": entry.key, **arguments}
    if entry.module == "activations" and not arguments:
        return {**HOLDERS["activations"][0], "activation": entry.name}
    if entry.module == "layers" and entry.key not in HOLDERS:
        return node
    holder, argument = HOLDERS.get(entry.key) or HOLDERS[entry.module]
    return {**holder, argument: node}


def _rank(node: Node) -> int | None:
    """The number of dimensions that the layer says its input has; None if it does not say."""
    layer = made(node)
    spec = getattr(layer, "input_spec", None)
    named = re.search(r"([123])D", type(layer).__name__)
    found = getattr(spec, "ndim", None) or getattr(spec, "min_ndim", None) or (named and int(named[1]) + 2)
    return int(found) if found in BY_RANK else None


def _first_feed(node: Node) -> tuple[Node | None, str]:
    """The first way to feed the layer that works; else why the first way of all does not."""
    try:
        order = _feeds(node)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    whys = []
    for call in ("one", "pair", "spread", "inside"):
        for feed in order:
            branch = {"layer": node, "feed": feed, "call": call}
            why = why_not(branch)
            if why is None:
                return branch, ""
            whys.append(f"{feed}: {why}")
    return None, whys[0]


def _feeds(node: Node) -> list[str]:
    rank, module = _rank(node), type(made(node)).__module__
    if "image_preprocessing" in module:
        return ["image"]
    if module.rpartition(".")[2] in WHOLE_NUMBERS:
        return ["tokens", *ANY]
    return [BY_RANK[rank], *ANY] if rank else list(ANY)


def _grouped(every: Node, *, has_weights: bool) -> list[Node]:
    """Arguments that may be tried together. A layer without weights is not frozen."""
    groups: dict[str, Node] = {}
    for name, value in every.items():
        group = next((group for end, group in GROUPS.items() if name.endswith(end)), "plain")
        if has_weights or name != "trainable":
            groups.setdefault(group, {})[name] = value
    return list(groups.values())


def _bins(entry: Entry, first: Node, group: Node, refused: dict[str, str]) -> Iterator[Variant]:
    """Variants that together try every argument of a group that the entry takes: as few as it lets them be."""
    left = dict(group)
    while left:
        chosen = left if why_not(_with(entry, first, left).branch) is None else _chosen(entry, first, left)
        if not chosen:
            refused.update({name: why_not(_with(entry, first, {name: left[name]}).branch) or "" for name in left})
            return
        yield _with(entry, first, chosen)
        left = {name: value for name, value in left.items() if name not in chosen}


def _chosen(entry: Entry, first: Node, left: Node) -> Node:
    """Of these arguments, those that the entry takes together, added one after the other."""
    chosen: Node = {}
    for name in [*left, *left]:  # twice: what one does not take may be taken once another is there
        if name not in chosen and why_not(_with(entry, first, {**chosen, name: left[name]}).branch) is None:
            chosen[name] = left[name]
    return chosen


def _with(entry: Entry, branch: Node, changed: Node) -> Variant:
    return Variant(entry, {**branch, "layer": _layer(entry, {**needed(entry), **changed})}, changed)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "_target_" in value:
        return str(value.get("path", value["_target_"])).rpartition(".")[2]
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return repr(value)
