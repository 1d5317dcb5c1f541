"""Makes Hydra's ``run_job`` cheaper in a lane, where it would cost more than many a job.

Three things that it does to every config are replaced by equal ones that take a third of the time: copying it, hiding
all of it but the hydra node, and writing it as YAML. Only a lane's own process is changed, and a Hydra that has not
what is replaced is left as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from hydra.core import utils
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

from hydra_plugins.packed_launcher._cloning import clone, only_hydra


def speed_up_run_job() -> None:
    """Replace what run_job does to configs, in this process."""
    names = vars(utils)
    if names.get("copy") is copy and callable(names.get("_save_config")):
        names.update(copy=SimpleNamespace(deepcopy=copied), _save_config=_save_config)
        HydraConfig.set_config = _set_config  # type: ignore[method-assign]


def copied(value: Any) -> Any:
    """copy.deepcopy."""
    if isinstance(value, DictConfig) and value._get_parent() is None:
        return clone(value)
    return copy.deepcopy(value)


def _set_config(self: HydraConfig, cfg: DictConfig) -> None:
    """HydraConfig.set_config."""
    OmegaConf.set_readonly(cfg.hydra, True)
    hidden = only_hydra(cfg)
    self.cfg = hidden  # type: ignore[assignment]
    hidden.hydra._set_parent(cfg)


def _save_config(cfg: DictConfig, filename: str, output_dir: Path) -> None:
    """hydra.core.utils._save_config."""
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / filename).write_text(as_yaml(cfg), encoding="utf-8")


def as_yaml(config: Any) -> str:
    """What OmegaConf.to_yaml makes of a config; the parts of the hydra node that many jobs share are written once."""
    plain = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    node = plain.get("hydra") if isinstance(plain, dict) and len(plain) == 1 else None
    if not isinstance(node, dict) or not node:
        return _dump(plain)
    return "hydra:\n" + "".join(_part(_Shown({"hydra": {key: value}})) for key, value in node.items())


class _Shown:
    """A plain value that is equal to another where they look the same: 1, 1.0 and True do not."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value, self.text = value, repr(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=512)
def _part(shown: _Shown) -> str:
    """The lines of the only part of the hydra node, without the line of the node itself."""
    return _dump(shown.value).partition("\n")[2]


def _dump(plain: Any) -> str:
    text: str = yaml.dump(
        plain, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=get_omega_conf_dumper()
    )
    return text
