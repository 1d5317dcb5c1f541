"""Jobs before they run: composed, numbered and prepared; and the JobReturn of those that never could run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import cloudpickle
from hydra import version
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from packed_jobs.hydra_internals.clone import clone, only_hydra
from packed_jobs.hydra_internals.hydra_config import as_hydra_config
from packed_jobs.task import PickledJob, PlannedJob, Prepared


def plan(
    context: HydraContext,
    master: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first_number: int,
    task: TaskFunction,
) -> list[PlannedJob]:
    """Compose every job of a batch and have the task function prepare it.

    master: the config of the sweep. Raises what Hydra raises for a config that cannot be composed; a job that cannot be
    prepared has its ``error`` instead.
    """
    number_of: Callable[[Sequence[str]], int | None] = getattr(task, "number_of", lambda _overrides: None)
    jobs = []
    for index, overrides in enumerate(job_overrides):
        given = number_of(overrides)
        number = first_number + index if given is None else given
        config = context.config_loader.load_sweep_config(master, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        jobs.append(PlannedJob(PickledJob(index, pickle.dumps(config, pickle.HIGHEST_PROTOCOL)), number))
        with suppress(Exception):
            jobs[-1].folder = str(config.hydra.sweep.subdir)
        _prepare(task, jobs[-1], config)
    return jobs


def _prepare(task: TaskFunction, job: PlannedJob, config: DictConfig) -> None:
    """Note what the task function knows of a job, or why it could not prepare it."""
    prepare: Callable[[DictConfig, int], Prepared] | None = getattr(task, "prepare", None)
    if prepare is None:
        return
    packable = hasattr(task, "run_pack") and not _changes_folder(config)
    environment = tuple(sorted(config.hydra.job.env_set.items()))  # a process has one, and one current folder
    try:
        with as_hydra_config(config):
            prepared = prepare(config, job.number)
        job.cost, job.seconds = float(prepared.cost), prepared.seconds
        job.environment = dict(prepared.environment)
        if packable and prepared.pack_key is not None:
            job.key = (prepared.pack_key, environment, tuple(sorted(job.environment.items())))
            hash(job.key)
        if prepared.payload is not None:
            job.pickled.payload = cloudpickle.dumps(prepared.payload)  # its class may be of the main program
    except Exception as error:
        job.error = error


def _changes_folder(config: DictConfig) -> bool:
    chdir = config.hydra.job.chdir
    return bool(chdir) or (chdir is None and not version.base_at_least("1.2"))


def failed(config: DictConfig, error: BaseException) -> JobReturn:
    """The JobReturn of a job for which Hydra's run_job could not make one. config: with its hydra node."""
    own, hydra = parts(clone(config))
    returned = JobReturn(
        overrides=[str(line) for line in hydra.hydra.overrides.task],
        cfg=own,
        hydra_cfg=hydra,
        working_dir=str(Path.cwd()),
        task_name=str(JobRuntime.instance().get("name")),
        status=JobStatus.FAILED,
    )
    returned.return_value = error
    return returned


def failed_job(job: PlannedJob, error: BaseException) -> JobReturn:
    """The JobReturn of a job that has not run, or whose process ended."""
    return failed(job.pickled.load_config(), error)


def parts(config: DictConfig) -> tuple[DictConfig, DictConfig]:
    """A composed config, split into the task's own part and the one with the hydra node, which then has the job's
    folder. Changes the given config.
    """
    with as_hydra_config(config):
        _set_folder(config)
    hydra = only_hydra(config)
    return _without_hydra(config), hydra


def _set_folder(config: DictConfig) -> None:
    """Set the job's folder in its config, unless the folder's name cannot be resolved."""
    try:
        folder = os.path.join(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))  # noqa: PTH118
    except Exception:
        return
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = os.path.abspath(folder)  # noqa: PTH100


def _without_hydra(config: DictConfig) -> DictConfig:
    with read_write(config), open_dict(config):
        del config["hydra"]
    return config
