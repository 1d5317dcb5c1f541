"""The folder of a command: made, and filled with what the runs will be trained from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fashion_sweep.data import loading
from fashion_sweep.errors import FolderError
from fashion_sweep.planning import plan
from fashion_sweep.planning.request import Request
from fashion_sweep.storage import code_snapshot
from fashion_sweep.storage.atomic import replacing
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir


def make_folder(planned: plan.Plan) -> None:
    """Raises FolderError where the folder cannot be made, and for a single run's folder that holds another run."""
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        key = "hydra.sweep.dir" if planned.is_sweep else "hydra.run.dir"
        raise FolderError(f"{planned.folder} cannot be made ({error.strerror}); give another {key}") from error
    record = None if planned.is_sweep else RunDir(planned.folder).read_record()
    if record is not None and record.identity != planned.points[0].identity:
        raise FolderError(f"{planned.folder} holds another run; give another hydra.run.dir")


def keep(command: Request, planned: plan.Plan, sources: Mapping[str, Path]) -> Request:
    """Keep in the sweep's folder what it will train, from which code and configs, and ten images for the report.

    Returns the command with the configs that are kept: those that Hydra composes the runs from.
    """
    sweep = SweepDir(planned.folder)
    sweep.write_plan(command.text, [point.planned() for point in planned.runs], command.request())
    folders = {sweep.configs.name: command.conf, sweep.extra_configs.name: command.extra_conf}
    code_snapshot.keep(sweep.code, sources, {name: folder for name, folder in folders.items() if folder})
    for point in planned.points[:1]:
        dataset = loading.load(point.config["data"])
        images, labels = loading.samples(dataset)
        with replacing(sweep.samples) as path:
            np.savez(path, images=images, labels=labels, class_names=np.array(dataset.class_names))
    extra = sweep.extra_configs if command.extra_conf else None
    return dataclasses.replace(command, conf=sweep.configs, extra_conf=extra)
