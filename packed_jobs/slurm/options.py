"""What a user may ask of Slurm. The names are those of hydra-submitit-launcher, where it has the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packed_jobs.errors import require_positive

LONGEST_SIGNAL_DELAY_S = 65535
"""The most that Slurm takes for ``--signal``."""


@dataclass(frozen=True)
class SlurmOptions:
    """Options of one submission. Raises ValueError for numbers that Slurm cannot take."""

    partition: str | None = None
    qos: str | None = None
    account: str | None = None
    constraint: str | None = None  # features that a node must have
    exclude: str | None = None  # nodes that are not used
    gres: str | None = None  # such as gpu:a100:2, in the place of gpus_per_node
    gpus_per_node: int | None = None  # GPUs of a task, which has one node
    cpus_per_task: int | None = None  # cores of a task
    mem_gb: float | None = None  # memory of a task, GiB
    timeout_min: int = 60  # time limit of a task, minutes
    signal_delay_s: int = 120  # seconds before the time limit at which a task saves its states and is requeued
    max_num_timeout: int = 10  # how often a task may meet its time limit and go on
    array_parallelism: int = 256  # the most tasks that run at a time
    runs_per_task: int | None = None  # null: see ``tasks.grouped``
    setup: Sequence[str] = ()  # lines of the script before Python starts, such as "module load cuda"
    python: str | None = None  # the command that starts Python; null: the interpreter of the command
    additional_parameters: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)  # of sbatch

    def __post_init__(self) -> None:
        names = ("cpus_per_task", "mem_gb", "timeout_min", "array_parallelism", "runs_per_task")
        require_positive("hydra.launcher", **{name: getattr(self, name) for name in names})
        for name in ("signal_delay_s", "max_num_timeout", "gpus_per_node"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"hydra.launcher.{name} is {getattr(self, name)}, expected at least 0")
        if self.signal_delay_s > LONGEST_SIGNAL_DELAY_S:
            raise ValueError(
                f"hydra.launcher.signal_delay_s is {self.signal_delay_s}, expected at most {LONGEST_SIGNAL_DELAY_S}"
            )

    @property
    def has_gpus(self) -> bool:
        """Whether a task has GPUs, as far as the options tell."""
        return bool(self.gpus_per_node) or "gpu" in (self.gres or "")
