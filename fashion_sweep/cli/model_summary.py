"""``summary=true``: what ``model.summary()`` prints of every distinct model that a command would train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashion_sweep.data import loading
from fashion_sweep.models import build
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.run_spec import Point
from fashion_sweep.training import cross_validation
from fashion_sweep.training.native_output import native_output_to


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
    dataset = loading.load(config["data"])
    return json.dumps([config["model"], dataset.images.shape[1:], len(dataset.class_names)], sort_keys=True)


def _is_of_model(override: str) -> bool:
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in ("model", "data")


def _print(config: Mapping[str, Any]) -> None:
    dataset = loading.load(config["data"])
    if cross_validation.is_cross_validated(config):
        print(cross_validation.summary(config, dataset))
        return
    with native_output_to(None):
        build.build_model(config["model"], dataset.images.shape[1:], len(dataset.class_names)).summary()
