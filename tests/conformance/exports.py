"""What Keras exports, read from Keras."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

MODULES = (
    "layers", "optimizers", "optimizers.schedules", "callbacks", "regularizers", "constraints", "initializers",
    "activations", "dtype_policies",
)  # fmt: skip

_BASE = "a base class"
_SERVICE = "turns names and configs into objects, and back"
_STRINGS = "takes text, which no image is"
UNUSED: dict[str, str] = {
    **{f"{module}.{name}": _SERVICE for module in MODULES for name in ("serialize", "deserialize", "get")},
    **dict.fromkeys(
        ("layers.Layer", "layers.Wrapper", "optimizers.Optimizer", "optimizers.schedules.LearningRateSchedule",
         "callbacks.Callback", "regularizers.Regularizer", "constraints.Constraint", "initializers.Initializer"),
        _BASE,
    ),
    **dict.fromkeys(("layers.StringLookup", "layers.TextVectorization"), _STRINGS),
    "layers.InputSpec": "describes the input of a layer",
    "layers.Input": "the start of every model of this suite",
    "layers.InputLayer": "the start of every model of this suite",
    "layers.MaxNumBoundingBoxes": "takes bounding boxes",
    "layers.AugMix": "chooses with Python's random module when it is traced, so that no two traces are alike",
    "layers.FlaxLayer": "needs the package flax, which is not required here",
    "layers.TorchModuleWrapper": "needs PyTorch as the backend of Keras",
    "layers.TFSMLayer": "runs a SavedModel, which is not trained",
    "optimizers.OptimizerMap": "the argument of MultiOptimizer, tried with it",
    "optimizers.legacy": "empty, for old code",
    "optimizers.schedules": "a module, of which every entry is listed",
    "callbacks.CallbackList": "holds the callbacks of a run, and is none",
    "callbacks.OrbaxCheckpoint": "needs the package orbax-checkpoint, which is not required here",
    "callbacks.RemoteMonitor": "needs the package requests and a server",
}  # fmt: skip
"""Names that no classifier of images can be made with here, and why."""


@dataclass(frozen=True)
class Entry:
    """Something that Keras exports."""

    module: str  # such as layers
    name: str  # its first name in alphabetical order
    aliases: tuple[str, ...]
    what: Any

    @property
    def key(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def target(self) -> str:
        """Its dotted name."""
        return f"keras.{self.key}"


def entries(module: str) -> list[Entry]:
    """The distinct entries of a module of Keras, those of UNUSED left out."""
    found = importlib.import_module(f"keras.{module}")
    names: dict[int, list[str]] = {}
    for name in sorted(dir(found)):
        if not name.startswith("_"):
            names.setdefault(id(getattr(found, name)), []).append(name)
    made = [Entry(module, some[0], tuple(some[1:]), getattr(found, some[0])) for some in names.values()]
    return [entry for entry in made if entry.key not in UNUSED]


def left_out() -> dict[str, str]:
    """The names of UNUSED that this version of Keras has."""
    return {name: why for name, why in UNUSED.items() if _exists(name)}


def parameters(entry: Entry) -> list[inspect.Parameter]:
    """The named arguments of an entry; those that it shares with all layers are in ``arguments.OF_EVERY_LAYER``."""
    signature = inspect.signature(entry.what)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each for each in signature.parameters.values() if each.kind in kinds]


def _exists(key: str) -> bool:
    module, _, name = key.rpartition(".")
    return hasattr(importlib.import_module(f"keras.{module}"), name)
