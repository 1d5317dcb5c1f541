"""The config that ``HydraConfig.get()`` and ``${hydra:...}`` read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from packed_jobs.hydra_internals import versions


@contextmanager
def as_hydra_config(config: DictConfig) -> Iterator[None]:
    """Within the block, HydraConfig is this config, which has a hydra node."""
    instance: Any = HydraConfig.instance()
    before = instance.cfg
    try:
        if versions.KNOWN:
            instance.cfg = config
        else:
            instance.set_config(config)  # copies the config, at 3 ms a job
        yield
    finally:
        instance.cfg = before


def current() -> DictConfig:
    """The config whose hydra node ``HydraConfig.get()`` returns. Raises ValueError where HydraConfig is not set."""
    config: Any = HydraConfig.instance().cfg
    if config is None:
        raise ValueError("HydraConfig is not set, expected it to be within a job")
    found: DictConfig = config
    return found
