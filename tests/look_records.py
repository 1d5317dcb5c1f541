"""Looks at test images as a sweep's test.json has them, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis_folders import planned
from result_sweeps import CLEAR

from fashion_sweep.storage.looks import ONE_RUN, SELECTED, Estimate, Figures, Look, MeasuredRun

ADAM: list[dict[str, Any]] = [{"optimizer": "adam", "seed": seed} for seed in CLEAR["adam"]]
"""The best setting of ``CLEAR``."""


def measured(point: dict[str, Any], **changes: Any) -> MeasuredRun:
    plan = planned(point)
    row = MeasuredRun(plan.run, plan.identity, point["seed"], "best.keras", "0" * 64, 2.5, 0.5, 2.25, 0.75)
    return replace(row, **changes)


def look(low: float = 0.125, high: float = 0.375, **changes: Any) -> Look:
    """A look at the selected setting of ``CLEAR``; low, high: of the difference in loss."""
    found = Look(
        when="2026-01-02T03:04:05+00:00",
        asked=SELECTED,
        images=1000,
        fingerprint="f" * 64,
        runs=[measured(point) for point in ADAM],
        test=Figures(Estimate(2.5, 2.25, 2.75), Estimate(0.5, 0.46, 0.54)),
        validation=Figures(Estimate(2.25, 2.0, 2.5), Estimate(0.75, 0.7, 0.8)),
        difference=Figures(Estimate(0.25, low, high), Estimate(-0.25, -0.3, -0.2)),
        setting="adam",
        among=3,
        versions={"keras": "3.15.1"},
    )
    return replace(found, **changes)


def one_run() -> Look:
    return look(asked=ONE_RUN, runs=[measured(ADAM[0])], setting="", among=0)


def content(folder: Path) -> bytes:
    return (folder / "test.json").read_bytes()
