"""The config of the launcher: the group ``hydra/launcher``, choice ``packed``."""

from dataclasses import dataclass
from typing import Optional

from hydra.core.config_store import ConfigStore

# OmegaConf reads the annotations at run time and knows only typing's spelling of optional types. Hydra executes this
# module before it is in sys.modules, where dataclass looks up annotations that are postponed.
# ruff: noqa: UP045


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


ConfigStore.instance().store(group="hydra/launcher", name="packed", node=PackedLauncherConf, provider="packed_launcher")
