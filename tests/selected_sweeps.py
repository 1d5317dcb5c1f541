"""A tiny sweep on an .npz file with test images, really trained, and what ``evaluate.py`` says of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from fashion_sweep.cli import evaluate
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir
from fashion_sweep.training.train import train

Captured = pytest.CaptureFixture[str]
TESTS, CLASSES = 40, 4
POINTS = [("adam", 0), ("adam", 1), ("sgd", 0), ("sgd", 1)]


def write_images(path: Path, **changes: np.ndarray | None) -> None:
    chance = np.random.default_rng(0)
    patterns = chance.random((CLASSES, 8, 8)) * 200
    y, y_test = np.arange(120) % CLASSES, np.arange(TESTS) % CLASSES
    x, x_test = (np.clip(patterns[of] + chance.normal(0, 60, (len(of), 8, 8)), 0, 255) for of in (y, y_test))
    arrays = {"x_train": x.astype("uint8"), "y_train": y, "x_test": x_test.astype("uint8"), "y_test": y_test}
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})  # type: ignore[arg-type]


def train_sweep(composed: Callable[..., DictConfig], folder: Path, *more: str) -> None:
    """The sweep in ``folder``/s, on ``folder``/mine.npz, which the runs call mine.npz."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        specs = [_spec(composed, optimizer, seed, *more) for optimizer, seed in POINTS]
        Path("s").mkdir()
        plan = [PlannedRun(spec.folder.name, spec.overrides, spec.identity) for spec in specs]
        SweepDir(Path("s")).write_plan("the command", plan)
        records = train(specs)
    finally:
        os.chdir(before)
    assert [record.status for record in records] == [Status.COMPLETED] * len(POINTS), records[0].reason


def _spec(composed: Callable[..., DictConfig], optimizer: str, seed: int, *more: str) -> RunSpec:
    lines = [f"optimizer={optimizer}", f"seed={seed}"]
    fixed = ["trainer=fit", "data=npz", "data.path=mine.npz", "epochs=3", "model.hidden_units=[8]", "batch_size=16"]
    config = composed(*lines, *fixed, *more)
    resolved = run_spec.resolved(config)
    choices = run_spec.group_choices(config.hydra)
    return RunSpec(Path("s") / f"{optimizer}-{seed}", resolved, choices, lines, run_spec.identity_of(resolved))


def said(captured: Captured, *arguments: str) -> str:
    """What the command prints on stdout; it must succeed without a word on stderr."""
    evaluate.main(list(arguments))
    out, err = captured.readouterr()
    assert err == ""
    return out


def refused(captured: Captured, *arguments: str) -> str:
    """The error, in one or two lines; the command must exit with 2 and say no figure."""
    captured.readouterr()
    with pytest.raises(SystemExit) as raised:
        evaluate.main(list(arguments))
    out, err = captured.readouterr()
    assert (raised.value.code, "loss" in out) == (2, False)
    assert err.startswith("error: ")
    assert 1 <= err.count("\n") <= 2
    return err.removeprefix("error: ").strip()
