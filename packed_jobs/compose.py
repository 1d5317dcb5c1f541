"""Jobs before they run, and what to say of those that never could: composed, numbered, with the key of their pack."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from packed_jobs.hydra_internals.clone import clone, only_hydra
from packed_jobs.task import PlannedJob


def plan(
    context: HydraContext,
    master: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first_number: int,
    task: TaskFunction,
) -> list[PlannedJob]:
    """Compose every job of a batch and ask the task function what it knows of them.

    master: the config of the sweep. Raises what Hydra raises for a config that cannot be composed, and what the task
    function's pack_key and cost raise.
    """
    jobs = []
    for index, overrides in enumerate(job_overrides):
        config = context.config_loader.load_sweep_config(master, list(overrides))
        number = first_number + index
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        jobs.append(PlannedJob(index, number, pickle.dumps(config, pickle.HIGHEST_PROTOCOL)))
        _ask(task, jobs[-1], config)
    return jobs


def _ask(task: TaskFunction, job: PlannedJob, config: DictConfig) -> None:
    """Note the cost and the key that the task function gives a job."""
    pack_key, cost = getattr(task, "pack_key", None), getattr(task, "cost", None)
    if pack_key is None and cost is None:
        return
    with as_hydra_config(config):
        own = _without_hydra(clone(config))
        if cost is not None:
            job.cost = float(cost(own))
        if pack_key is not None and hasattr(task, "run_pack"):
            job.key = _key(config, own, pack_key)


def _key(config: DictConfig, own: DictConfig, pack_key: Callable[[DictConfig], Hashable | None]) -> Hashable | None:
    """The key under which the job may be packed. A process has one environment and one current folder."""
    chdir = config.hydra.job.chdir
    if chdir or (chdir is None and not version.base_at_least("1.2")):
        return None
    key = pack_key(own)
    return None if key is None else (key, tuple(sorted(config.hydra.job.env_set.items())))


def failed(config: DictConfig, error: BaseException) -> JobReturn:
    """The JobReturn of a job that Hydra's run_job could not make one for. config: with its hydra node."""
    own, hydra = parts(clone(config))
    return JobReturn(
        overrides=[str(line) for line in hydra.hydra.overrides.task],
        cfg=own,
        hydra_cfg=hydra,
        working_dir=str(Path.cwd()),
        task_name=str(JobRuntime.instance().get("name")),
        status=JobStatus.FAILED,
        _return_value=error,
    )


def parts(config: DictConfig) -> tuple[DictConfig, DictConfig]:
    """A composed config as the task's own part and the one with the hydra node, which then knows the job's folder.

    The given config is taken apart.
    """
    with as_hydra_config(config):
        _note_folder(config)
    hydra = only_hydra(config)
    return _without_hydra(config), hydra


def _note_folder(config: DictConfig) -> None:
    """Write the folder that the job has into its config; a job whose folder's name cannot be resolved has none."""
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


@contextmanager
def as_hydra_config(config: DictConfig) -> Iterator[None]:
    """Within the block, ``${hydra:...}`` reads this config. HydraConfig.set_config would copy it, at 3 ms a job."""
    instance: Any = HydraConfig.instance()
    before, instance.cfg = instance.cfg, config
    try:
        yield
    finally:
        instance.cfg = before
