"""The configs of the launchers: the group ``hydra/launcher``, choices ``packed`` and ``packed_slurm``."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from hydra.core.config_store import ConfigStore

# OmegaConf reads the annotations at run time and knows only typing's spelling of optional types. Hydra executes this
# module before it is in sys.modules, where dataclass looks up annotations that are postponed.
# ruff: noqa: UP006, UP035, UP045


@dataclass
class PackedLauncherConf:
    """How the jobs of a sweep are spread over this machine."""

    _target_: str = "hydra_plugins.packed_launcher.launcher.PackedLauncher"
    lanes: Optional[int] = None  # worker processes; null: up to 4 a visible GPU, else one a core that may be used
    pack_size: Optional[int] = None  # most jobs that train together; null: 256 on a GPU, 1 on cores
    threads_per_lane: Optional[int] = None  # cores and threads of each lane; null: 1, GPU lanes unpinned
    run_timeout_min: Optional[float] = None  # minutes a run may take, a pack of n: n times as many; null: no limit
    lane_memory_gib: Optional[float] = None  # replace a lane between packs once it holds more; null: the larger of
    # its share of 3/4 of the memory, and half as much again as after its first pack
    fail_fast: bool = False  # after the first failed job, start no further one


@dataclass
class PackedSlurmLauncherConf:
    """How the jobs of a sweep are spread over tasks of a Slurm cluster; None: what the cluster does by default."""

    _target_: str = "hydra_plugins.packed_launcher.slurm_launcher.PackedSlurmLauncher"
    partition: Optional[str] = None
    qos: Optional[str] = None
    account: Optional[str] = None
    constraint: Optional[str] = None  # features that a node must have
    exclude: Optional[str] = None  # nodes that are not used
    gres: Optional[str] = None  # such as gpu:a100:1, in the place of gpus_per_node
    gpus_per_node: Optional[int] = None  # GPUs of a task, which has one node
    cpus_per_task: Optional[int] = None  # cores of a task
    mem_gb: Optional[float] = None  # memory of a task, GiB
    timeout_min: int = 60  # time limit of a task, minutes
    signal_delay_s: int = 120  # seconds before the time limit at which a task saves its states and is requeued
    max_num_timeout: int = 10  # how often a run may meet the time limit of its task and go on
    array_parallelism: int = 256  # the most tasks that run at a time
    runs_per_task: Optional[int] = None  # null: so that a task works for 10 minutes at least
    setup: List[str] = field(default_factory=list)  # shell commands before Python starts, such as "module load cuda"
    python: Optional[str] = None  # the command that starts Python; null: the interpreter of this command
    additional_parameters: Dict[str, Any] = field(default_factory=dict)  # further options of sbatch, such as mail_user
    detach: bool = False  # return once the jobs are submitted
    lanes: Optional[int] = None  # of a task; null: up to 4 a GPU, else one a core
    pack_size: Optional[int] = None  # most jobs that train together; null: 256 on a GPU, 1 on cores
    threads_per_lane: Optional[int] = None  # null: 1, GPU lanes unpinned
    run_timeout_min: Optional[float] = None  # minutes a run may take, a pack of n: n times as many; null: no limit
    lane_memory_gib: Optional[float] = None  # as of packed
    fail_fast: bool = False  # after the first failed job, start no further one


ConfigStore.instance().store(group="hydra/launcher", name="packed", node=PackedLauncherConf, provider="packed_launcher")
ConfigStore.instance().store(
    group="hydra/launcher", name="packed_slurm", node=PackedSlurmLauncherConf, provider="packed_launcher"
)
