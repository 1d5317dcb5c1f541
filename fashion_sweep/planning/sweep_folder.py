"""The folder of a command: made, and filled with what the runs will be trained from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading
from fashion_sweep.errors import FolderError
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.request import Request
from fashion_sweep.storage import claim, code_snapshot
from fashion_sweep.storage.atomic import replacing
from fashion_sweep.storage.lease import written_into
from fashion_sweep.storage.source_files import source_files
from fashion_sweep.storage.sweep_dir import SweepDir


def check_folder(planned: Plan) -> None:
    """Raise FolderError where the command would overwrite what is not its own."""
    if not planned.is_sweep:
        claim.check_run(planned.folder)
        return
    claim.check_sweep(planned.folder)
    before = {run.run for run in SweepDir(planned.folder).plan_before()[1]}
    is_unknown = not before and SweepDir(planned.folder).plan.exists()  # damaged: it may have listed any run
    for spec in planned.runs:
        claim.check_run_of_sweep(spec.folder, is_planned=is_unknown or spec.name in before)


def make_folder(planned: Plan) -> None:
    """Make the folder and mark it as ours. Raises FolderError where it cannot be made."""
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        key = "hydra.sweep.dir" if planned.is_sweep else "hydra.run.dir"
        raise FolderError(f"{planned.folder} cannot be made ({error.strerror}); give another {key}") from error
    with written_into(planned.folder):
        claim.mark(planned.folder)


def sources(planned: Plan) -> dict[str, Path]:
    """The source files that the runs are trained with: none of them lies in the sweep's own folder."""
    without = [planned.folder, SweepDir(planned.folder).code]
    return source_files((spec.config for spec in planned.runs), without)


def keep(request: Request, planned: Plan, files: Mapping[str, Path]) -> Request:
    """Keep in the sweep's folder what it will train, from which code and configs, and ten images for the report.

    The plan comes last: a folder with a plan can be resumed. Returns the request with the configs that are kept:
    whatever is composed later is composed from them.
    """
    sweep = SweepDir(planned.folder)
    folders = {sweep.configs.name: request.conf, sweep.extra_configs.name: request.extra_conf}
    code_snapshot.keep(sweep.code, files, {name: folder for name, folder in folders.items() if folder})
    for spec in planned.specs[:1]:
        _keep_samples(sweep.samples, spec)
    requests = [dataclasses.replace(request, overrides=lines).to_json() for lines in planned.grids]
    sweep.write_plan(request.text, planned.planned(), requests)
    extra = sweep.extra_configs if request.extra_conf else None
    return dataclasses.replace(request, conf=sweep.configs, extra_conf=extra)


def _keep_samples(place: Path, spec: RunSpec) -> None:
    dataset = loading.load(spec.config["data"])
    images, labels = loading.samples(dataset)
    with replacing(place) as path:
        np.savez(path, images=images, labels=labels, class_names=np.array(dataset.class_names))
