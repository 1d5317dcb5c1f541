"""Whether an engine computes on this device what plain Keras computes: see ``check``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import UserError
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import zoo
from fashion_sweep.training.job import Job
from fashion_sweep.training.plain_keras import PlainKeras
from fashion_sweep.training.train import train

PACK = (0.5, 1.0, 2.0)
"""The learning rates of a pack, relative to that of the run which is compared."""
COMPARED = 1
"""Its row in the pack."""
RATE = 0.01

DATA = {
    "_target_": "fashion_sweep.data.synthetic",
    "samples": 125,
    "image_size": 8,
    "classes": 4,
    "noise": 0.5,
    "seed": 0,
}
SPLIT = {"validation_fraction": 0.2, "split_seed": 42, "limit": None}

Row = Mapping[str, float]


class CheckError(UserError):
    """A run of the check did not complete."""

    exit_code = 1


@dataclass(frozen=True)
class Equality:
    """How far the losses of a run differ, as a share of them: the largest of all epochs."""

    model: str
    pack: int  # runs that were trained together with it, itself included
    alone_and_plain: float
    pack_and_plain: float

    @property
    def largest(self) -> float:
        """The larger difference."""
        return max(self.alone_and_plain, self.pack_and_plain)


def check(engine: str) -> Iterator[Equality]:
    """Train each model of the zoo in a pack, alone and in a plain Keras loop, two epochs each.

    engine: the one of this process. Raises CheckError where a run does not complete.
    """
    for model, optimizer in zoo.CASES:
        with tempfile.TemporaryDirectory() as folder:
            yield _compared(Path(folder), model, _config(engine, model, optimizer))


def _compared(folder: Path, model: Callable[..., keras.Model], config: Mapping[str, Any]) -> Equality:
    rates = [RATE * factor for factor in PACK]
    pack = [_spec(folder / f"pack{row}", config, row, rate) for row, rate in enumerate(rates)]
    alone, plain = (_spec(folder / name, config, COMPARED, rates[COMPARED]) for name in ("alone", "plain"))
    records = [*_trained(pack), *_trained([alone])]
    expected, _ = PlainKeras(Job(plain)).trained()
    return Equality(
        model.__name__,
        records[COMPARED].pack or 1,
        _difference(RunDir(alone.folder).read_history(), expected),
        _difference(RunDir(pack[COMPARED].folder).read_history(), expected),
    )


def _trained(specs: Sequence[RunSpec]) -> list[RunRecord]:
    records = train(specs)
    for record in records:
        if record.status is not Status.COMPLETED:
            raise CheckError(f"a run of the check is {record.status.value}: {record.reason}")
    return records


def _difference(one: Sequence[Row], two: Sequence[Row]) -> float:
    pairs = [(mine[key], other[key]) for mine, other in zip(one, two, strict=True) for key in ("loss", "val_loss")]
    return max(abs(mine - other) / abs(other) for mine, other in pairs)


def _spec(folder: Path, config: Mapping[str, Any], seed: int, rate: float) -> RunSpec:
    optimizer = {**config["optimizer"], "learning_rate": rate}
    return RunSpec(folder, {**config, "optimizer": optimizer, "seed": seed}, {}, [], folder.name)


def _config(engine: str, model: Callable[..., keras.Model], optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """100 training images in three whole batches and one of four."""
    return {
        "model": {"_target_": f"{model.__module__}.{model.__name__}"},
        "optimizer": optimizer,
        "schedule": None,
        "callbacks": {},
        "data": {**DATA, **SPLIT},
        "trainer": {"_target_": "fashion_sweep.training.compiled.compiled", "engine": engine},
        "epochs": 2,
        "batch_size": 32,
        "save": "none",
        "retry": "failed",
    }
