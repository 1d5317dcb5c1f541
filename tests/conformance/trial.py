"""Tries cases: trains them with an engine, in packs of three seeds and alone, and compares them with plain Keras."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py

from conformance.arguments import Node
from conformance.cases import Case
from conformance.reference import History, largest_difference, plain_keras
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import keras_fit
from fashion_sweep.training.job import Job
from fashion_sweep.training.plain_keras import PlainKeras
from fashion_sweep.training.train import train

SEEDS = (1, 2, 3)
TOLERANCE, HALF_TOLERANCE = 1e-3, 5e-2
"""Largest difference after all epochs, relative to a loss or to the largest number of an array; in 16 bits."""

WRONG = "WRONG"
COMPILED: Node = {"_target_": "fashion_sweep.training.compiled.compiled"}

BASE: Node = {
    "epochs": 2, "batch_size": 16, "seed": 0, "retry": "failed", "save": "weights", "schedule": None, "callbacks": {},
    "optimizer": {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1},
    "model": {"_target_": "conformance.networks.dense"},
    "data": {"_target_": "fashion_sweep.data.synthetic", "samples": 125, "image_size": 8, "classes": 5, "noise": 1.0,
             "seed": 0, "validation_fraction": 0.2, "split_seed": 42, "limit": None},
}  # fmt: skip
"""100 images to train with, six batches of 16 and one of 4; 25 to validate with, one batch and one of 9."""

FEW_IMAGES: Node = {"samples": 64, "validation_fraction": 0.25}
"""Three batches of 16 and one to validate with: a program without partial batches is made in half the time."""

OWN_FILES = ("run.json", "history.csv", "model.txt", "train.log", "last.weights.h5")


@dataclass(frozen=True)
class Outcome:
    """What became of something that was tried."""

    label: str
    how: str  # packed, alone, fit, refused or WRONG
    why: str = ""
    difference: float = 0.0


@dataclass
class Lab:
    """A folder for runs, and an ear for the log."""

    engine: str
    folder: Path
    messages: list[str] = field(default_factory=list)
    count: int = 0

    def specs(self, case: Case, seeds: Sequence[int]) -> list[RunSpec]:
        """New runs of a case."""
        self.count += 1
        data = {**BASE["data"], **({} if case.has_partial_batches else FEW_IMAGES)}
        config = {**BASE, "data": data, "trainer": {**COMPILED, "engine": self.engine}, **case.parts}
        return [self._spec({**config, "seed": seed}) for seed in seeds]

    def _spec(self, config: Node) -> RunSpec:
        identity = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        return RunSpec(self.folder / f"{self.count}-{config['seed']}", config, {}, [], identity)

    def train(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        self.messages.clear()
        return train(specs)

    @property
    def said(self) -> str:
        """What the log said before the first epoch of why a run is not packed, or goes to fit; empty if nothing."""
        first = next((at for at, text in enumerate(self.messages) if text.startswith("Epoch 1")), None)
        told = [text for text in self.messages[:first] if "not packed" in text or "instead of compiled" in text]
        return told[0] if told else ""


@contextmanager
def lab(engine: str) -> Iterator[Lab]:
    """A place to try cases with an engine, whose backend Keras has to have in this process."""
    logger = logging.getLogger("fashion_sweep")
    with tempfile.TemporaryDirectory() as folder:
        made = Lab(engine, Path(folder))
        handler = logging.Handler()
        handler.emit = lambda record: made.messages.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        gc.freeze()  # Keras collects garbage before each model, and would search all that was imported
        yield made
        logger.removeHandler(handler)


def outcomes(here: Lab, case: Case) -> list[Outcome]:
    """What becomes of all that a case tries. Where it is not trained as expected, each half is tried by itself."""
    found = tried(here, case)
    parts = case.halves()
    if parts and found.how != case.expected:
        return [each for part in parts for each in outcomes(here, part)]
    if found.how == WRONG and len(case.labels) == 1:
        named = [one.label for one in (tried(here, each) for each in case.singles()) if one.how == WRONG]
        found = replace(found, why=f"{found.why}; by itself: {', '.join(named)}" if named else found.why)
    return [replace(found, label=label) for label in case.labels]


def tried(here: Lab, case: Case) -> Outcome:
    """Train three seeds of a case, two where it is not expected to be packed, and compare."""
    specs = here.specs(case, SEEDS if case.expected == "packed" else SEEDS[1:])
    try:
        records = here.train(specs)
    except Exception as error:
        return Outcome(case.labels[0], WRONG, f"raised {type(error).__name__}: {error}")
    if len(case.labels) > 1 and any(record.status is Status.DIVERGED for record in records):
        return Outcome(case.labels[0], WRONG, "diverges, so that the rest of the case would prove nothing")
    found = replace(_how(here, records), label=case.labels[0])
    if any(record.status is Status.FAILED for record in records):
        return _refusal(case, specs[-1], found, records)
    if found.how != WRONG:
        found = _measured(here, case, specs, found)
    return found


def _how(here: Lab, records: Sequence[RunRecord]) -> Outcome:
    """How runs were trained, and whether the log said so before."""
    if "instead of compiled" in here.said:
        return Outcome("", "fit", here.said.partition("instead of compiled: ")[2])
    if all(record.pack == len(records) for record in records):
        return Outcome("", "packed")
    if here.said:
        return Outcome("", "alone", here.said.partition("not packed: ")[2])
    packs = [record.pack for record in records]
    return Outcome("", WRONG, f"in packs of {packs}, and the log does not say why")


def _refusal(case: Case, spec: RunSpec, found: Outcome, records: Sequence[RunRecord]) -> Outcome:
    """A refusal is told in a sentence, before the first epoch; a failure is right where Keras fails, too."""
    reason = next(record.reason or "" for record in records if record.status is Status.FAILED)
    if all(record.epochs_run == 0 for record in records) and not re.match(r"[A-Z]\w*: ", reason):
        return replace(found, how="refused", why=reason)
    for compiled in (False, True):  # model.fit compiles it
        try:
            PlainKeras(Job(spec), compiled=compiled).trained()
        except Exception as error:
            return replace(found, how="refused", why=f"Keras cannot train it either: {type(error).__name__}")
    return replace(found, how=WRONG, why=f"fails where Keras trains: {reason[:300]}")


def _measured(here: Lab, case: Case, specs: Sequence[RunSpec], found: Outcome) -> Outcome:
    """The last of the runs against plain Keras, and the second of a pack against the same run alone."""
    tolerance = HALF_TOLERANCE if case.is_half else TOLERANCE
    is_random = found.how == "fit" and (case.has_noise or case.has_masks)  # other numbers are drawn
    difference = 0.0 if is_random else _from_keras(case, specs[-1])
    if not difference <= tolerance and case.reference == "quick" and len(case.labels) == 1:
        difference, own = _from_either(specs[-1])
        tolerance = max(tolerance, own)
        found = replace(found, why=f"what it computes is ill-conditioned: Keras, compiled and not, is {own:.0e} apart")
    if not difference <= tolerance:
        why = f"{found.how} differs from Keras by {difference:.1e}"
        return replace(found, how=WRONG, why=why, difference=difference)
    if found.how == "packed":
        (lone,) = here.specs(case, SEEDS[1:2])
        here.train([lone])
        apart = _between(specs[1], lone)
        if not apart <= tolerance:
            return replace(found, how=WRONG, why=f"a pack differs from a lone run by {apart:.1e}", difference=apart)
        difference = max(difference, apart)
    return replace(found, difference=difference)


def _from_keras(case: Case, spec: RunSpec) -> float:
    return _from_fit(case, spec) if case.parts.get("callbacks") else _from_plain(spec, case.reference)


def _from_plain(spec: RunSpec, how: str) -> float:
    """The difference from the plain loop. how: see ``reference.plain_keras``."""
    return _apart(_trained(spec), _plain(spec, how))


def _from_either(spec: RunSpec) -> tuple[float, float]:
    """The smaller difference from the plain loop, compiled or not, and that of these two."""
    run, *both = _trained(spec), *(_plain(spec, how) for how in ("compiled", "masked"))
    return min(_apart(run, each) for each in both), _apart(*both)


Weighed = tuple[History, list[Any] | None]
"""A history and weights, None if they were not saved because the run diverged."""


def _trained(spec: RunSpec) -> Weighed:
    run = RunDir(spec.folder)
    return run.read_history(), _arrays(run.last_weights) if run.last_weights.exists() else None


def _plain(spec: RunSpec, how: str) -> Weighed:
    history, model = plain_keras(spec, how)
    beside = spec.folder / "plain.weights.h5"
    model.save_weights(beside)
    return history, _arrays(beside)


def _apart(one: Weighed, two: Weighed) -> float:
    if one[1] is None:  # the run ended with the first loss that is not finite; the plain loop goes on
        return largest_difference(one[0], two[0][: len(one[0])], [], [])
    return largest_difference(one[0], two[0], one[1], two[1])


def _from_fit(case: Case, spec: RunSpec) -> float:
    """The difference from model.fit, which calls the callbacks; infinite if they write other files."""
    fitted = RunSpec(spec.folder.with_name(f"{spec.name}-fit"), spec.config, {}, [], "fit")
    job = Job(fitted)
    keras_fit.train([job], steps_per_execution=1, jit_compile=False)
    if job.recorder.record.status is not Status.COMPLETED:
        raise RuntimeError(f"model.fit does not train it: {job.recorder.record.reason}")
    return _between(spec, fitted) if _files(spec.folder) == _files(fitted.folder) else float("inf")


def _files(folder: Path) -> set[str]:
    """The names of the files that callbacks have written, numbers left out."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return {re.sub(r"\d+", "#", name) for name in names if name not in OWN_FILES}


def _between(one: RunSpec, two: RunSpec) -> float:
    first, second = _trained(one), _trained(two)
    return float("inf") if first[1] is None or second[1] is None else _apart(first, second)


def _arrays(saved: Path) -> list[Any]:
    """All weights of a file, those of averages and adaptors as Keras saves them."""
    found: list[Any] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            found.append(item[()])

    with h5py.File(saved) as file:
        file.visititems(visit)
    return found
