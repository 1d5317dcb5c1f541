"""``summary=true``: what ``model.summary()`` prints of every distinct model that a command would train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashion_sweep import baseline, data, models
from fashion_sweep.plan import Plan, Point
from fashion_sweep.quiet import native_output_to


def show(planned: Plan) -> None:
    """Print the summaries on stdout, in the order of the grid, of several each under its overrides."""
    if not planned.points:
        print("The sweeper chooses the runs one after another, so there is no model to show yet")
    distinct: dict[str, Point] = {}
    for point in planned.points:
        distinct.setdefault(_shape(point.config), point)
    for point in distinct.values():
        if len(distinct) > 1:
            print(" ".join(filter(_is_of_model, point.overrides)))
        _print(point.config)


def _shape(config: Mapping[str, Any]) -> str:
    """Equal for configs of the same model on images of the same shape."""
    dataset = data.load(config["data"])
    return json.dumps([config["model"], dataset.images.shape[1:], len(dataset.class_names)], sort_keys=True)


def _is_of_model(override: str) -> bool:
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in ("model", "data")


def _print(config: Mapping[str, Any]) -> None:
    dataset = data.load(config["data"])
    if baseline.is_cross_validated(config):
        print(baseline.summary(config, dataset))
        return
    with native_output_to(None):
        models.build(config["model"], dataset.images.shape[1:], len(dataset.class_names)).summary()
