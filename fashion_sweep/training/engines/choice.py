"""Which engines this machine has, and which one is best on it. Nothing here imports a compute library."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from importlib import metadata, util
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from fashion_sweep.errors import ConfigError
from fashion_sweep.training.engines import JAX, NAMES, TENSORFLOW
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT
from packed_jobs.local.devices import visible_gpus

ANSWER_S = 120.0
"""Seconds that JAX has to say what it sees: it starts the GPU for that."""


class _Needed(NamedTuple):
    modules: tuple[str, ...]
    versions: str  # of the first one's package
    install: str


NEEDED = {
    TENSORFLOW: _Needed(("tensorflow",), "", 'pip install "tensorflow>=2.20,<2.22"'),
    JAX: _Needed(
        ("jax", "jaxlib"),
        ">=0.6.2,!=0.10.*,!=0.11.0,!=0.11.1,<0.12",
        'pip install "fashion-sweep[jax]" (on a GPU [jax-cuda])',
    ),
}
"""What each engine needs; the versions of JAX are those of pyproject.toml, which says why."""


def best_first() -> list[str]:
    """The engines that can be used here, the best one first: JAX where it sees a GPU.

    On CPUs both train equally fast, and TensorFlow compiles in half the time.
    """
    usable = [each for each in NAMES if problem(each) is None]
    is_best = JAX in usable and jax_sees_gpu(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return sorted(usable or NAMES, key=lambda each: (each == JAX) != is_best)


def problem(name: str) -> str | None:
    """Why an engine cannot be used, and what to do about it; None if it can."""
    try:
        require(name)
    except ConfigError as error:
        return str(error)
    return None


@lru_cache  # asked for every run; an error is not remembered, so that a package installed meanwhile is found
def require(name: str) -> None:
    """Raise ConfigError where an engine cannot be used with what is installed."""
    needed = NEEDED[name]
    if any(util.find_spec(module) is None for module in needed.modules):
        raise ConfigError(f"the engine {name} is not installed: {needed.install}")
    try:
        found = metadata.version(needed.modules[0])
    except metadata.PackageNotFoundError:  # built or copied by hand: nobody knows
        return
    if not SpecifierSet(needed.versions).contains(found, prereleases=True):
        wanted = f"{needed.modules[0]}{needed.versions}"
        raise ConfigError(f"the engine {name} needs {wanted}, and {found} is installed: {needed.install}")


@lru_cache
def jax_sees_gpu(listed: str | None) -> bool:  # noqa: ARG001 - another answer for other devices
    """Whether this machine has a GPU and JAX can use it. listed: CUDA_VISIBLE_DEVICES."""
    if not visible_gpus():
        return False
    code = "import sys; sys.path[:] = sys.argv[1:]; import jax; print(jax.default_backend())"
    command = [sys.executable, "-c", code, *sys.path]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | ENVIRONMENT, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.split()[-1:] == ["gpu"]
