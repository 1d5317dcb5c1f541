"""The versions of Hydra and OmegaConf whose private names this package uses.

With any other version, every function here that has a slower public equivalent falls back to it, until its tests have
been run with that version and ``WRITTEN_FOR`` names it.
"""

from __future__ import annotations

import hydra
import omegaconf

WRITTEN_FOR = {"hydra-core": "1.3", "omegaconf": "2.3"}


def are_known(hydra_version: str = hydra.__version__, omegaconf_version: str = omegaconf.__version__) -> bool:
    """Whether these are versions that this package was written for, whatever their patch level."""
    found = {"hydra-core": hydra_version, "omegaconf": omegaconf_version}
    return {name: ".".join(text.split(".")[:2]) for name, text in found.items()} == WRITTEN_FOR


def why_unknown() -> str:
    """For a warning: the installed versions, and those that this package was written for."""
    expected = ", ".join(f"{name} {text}" for name, text in WRITTEN_FOR.items())
    return f"found hydra-core {hydra.__version__} and omegaconf {omegaconf.__version__}, expected {expected}"


KNOWN = are_known()
