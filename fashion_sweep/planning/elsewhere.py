"""Which runs of a sweep are trained, or will be, by processes that an earlier command has started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fashion_sweep.errors import FolderError
from fashion_sweep.planning.plan import Plan
from fashion_sweep.storage.lease import living_owner
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.sweep_dir import SweepDir


def trained(planned: Plan, records: Mapping[str, RunRecord | None]) -> dict[str, str]:
    """Identity -> by whom, for people. records: by identity. Raises FolderError where Slurm cannot be asked."""
    queued = submitted(planned.folder) if planned.is_sweep else {}
    found = {spec.identity: f"Slurm job {queued[spec.name]}" for spec in planned.runs if spec.name in queued}
    for spec in planned.runs:
        record = records[spec.identity]
        if record is not None and record.status is Status.RUNNING and spec.identity not in found:
            owner = living_owner(spec.folder)
            if owner is not None and owner.task:
                found[spec.identity] = str(owner).partition(", since")[0]
    return found


def submitted(folder: Path) -> dict[str, str]:
    """The runs of a sweep that wait or train in a cluster: name -> job. Raises FolderError where nobody can tell."""
    place = SweepDir(folder).submissions
    if not place.is_dir():
        return {}
    from packed_jobs.slurm import cluster, status

    try:
        return status.live(folder)
    except (cluster.SlurmError, ValueError, OSError) as error:
        raise FolderError(
            f"{folder} was submitted to Slurm, and nobody can tell which of its jobs are alive ({error}).\n"
            f"Try again where Slurm answers; if you are sure that none is, delete {place}"
        ) from error
