"""How a batch would be submitted, without submitting it or asking Slurm."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from packed_jobs.local.preview import Preview
from packed_jobs.packs import form
from packed_jobs.slurm import script, tasks
from packed_jobs.slurm.options import SlurmOptions
from packed_jobs.slurm.submission import FOLDER
from packed_jobs.task import PickledJob, PlannedJob


def preview(
    known: Sequence[tuple[Hashable | None, float, float | None]],
    given: Mapping[str, Any],
    *,
    name: str,
    sweep: Path,
    import_path: Sequence[str],
) -> Preview:
    """What ``hydra/launcher=packed_slurm`` would do with jobs of these keys, costs and seconds.

    given: its config node, resolved; name: of the Slurm jobs; sweep: the folder of all jobs.
    """
    options = SlurmOptions(**{field.name: given[field.name] for field in fields(SlurmOptions)})
    jobs = [
        PlannedJob(PickledJob(number, b""), number, key, cost, seconds=seconds)
        for number, (key, cost, seconds) in enumerate(known)
    ]
    each = tasks.lanes_of(options, given["lanes"])
    slots = options.array_parallelism * each
    packs = form(jobs, tasks.default_pack_size(options).limited(given["pack_size"]), slots)
    grouped = tasks.grouped(packs, options, each)
    folder = sweep.absolute() / FOLDER / "TIME"
    text = script.batch_script(
        options, name=name, folder=folder, logs=folder / "logs", python=[sys.executable], import_path=import_path
    )
    lanes = ["lane of a task"] * min(slots, each * len(grouped))
    numbers = [[[job.index for job in pack] for pack in packs] for packs in grouped]
    return Preview(
        lanes,
        [pack for packs in numbers for pack in packs],
        [sum(map(len, packs)) for packs in numbers],
        f"sbatch --array=0-{len(grouped) - 1}%{options.array_parallelism} task.sh\n{text}",
    )
