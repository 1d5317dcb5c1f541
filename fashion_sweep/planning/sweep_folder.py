"""The folder of a command: made, and filled with what the runs will be trained from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fashion_sweep.data import loading
from fashion_sweep.errors import FolderError
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.request import Request
from fashion_sweep.storage import code_snapshot
from fashion_sweep.storage.atomic import replacing
from fashion_sweep.storage.sweep_dir import SweepDir


def make_folder(planned: Plan) -> None:
    """Raises FolderError where the folder cannot be made."""
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        key = "hydra.sweep.dir" if planned.is_sweep else "hydra.run.dir"
        raise FolderError(f"{planned.folder} cannot be made ({error.strerror}); give another {key}") from error


def keep(request: Request, planned: Plan, sources: Mapping[str, Path]) -> Request:
    """Keep in the sweep's folder what it will train, from which code and configs, and ten images for the report.

    Returns the request with the configs that are kept: whatever is composed later is composed from them.
    """
    sweep = SweepDir(planned.folder)
    requests = [dataclasses.replace(request, overrides=lines).to_json() for lines in planned.grids]
    sweep.write_plan(request.text, planned.planned(), requests)
    folders = {sweep.configs.name: request.conf, sweep.extra_configs.name: request.extra_conf}
    code_snapshot.keep(sweep.code, sources, {name: folder for name, folder in folders.items() if folder})
    for spec in planned.specs[:1]:
        dataset = loading.load(spec.config["data"])
        images, labels = loading.samples(dataset)
        with replacing(sweep.samples) as path:
            np.savez(path, images=images, labels=labels, class_names=np.array(dataset.class_names))
    extra = sweep.extra_configs if request.extra_conf else None
    return dataclasses.replace(request, conf=sweep.configs, extra_conf=extra)
