"""``summary=true``: what ``model.summary()`` prints of every distinct model that a command would train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading
from fashion_sweep.planning.plan import Plan
from fashion_sweep.training.trainer import trainer_of


def show(planned: Plan) -> None:
    """Print the summaries on stdout, in the order of the grid, of several each under its overrides."""
    if not planned.specs:
        print("The sweeper chooses the runs one after another, so there is no model to show yet")
    distinct: dict[str, RunSpec] = {}
    for spec in planned.specs:
        distinct.setdefault(_shape(spec.config), spec)
    for spec in distinct.values():
        if len(distinct) > 1:
            print(" ".join(filter(_is_of_model, spec.overrides)))
        print(trainer_of(spec.config).summary(spec.config, loading.load(spec.config["data"])))


def _shape(config: Mapping[str, Any]) -> str:
    """Equal for configs of the same model on images of the same shape."""
    dataset = loading.load(config["data"])
    return json.dumps([config["model"], dataset.images.shape[1:], len(dataset.class_names)], sort_keys=True)


def _is_of_model(override: str) -> bool:
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in ("model", "data")
