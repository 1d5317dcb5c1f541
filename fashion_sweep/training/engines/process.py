"""One process has one engine: Keras reads its backend from the environment, once, as it is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fashion_sweep.errors import ConfigError

BACKEND = "KERAS_BACKEND"

_set_here: dict[str, str] = {}
"""Variables that ``first_import`` has left in the environment of this process."""


@contextmanager
def first_import(environment: Mapping[str, str]) -> Iterator[None]:
    """A block that may be the first to import Keras: it finds these variables, which stay if it was."""
    if "keras" in sys.modules:
        yield
        return
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        if "keras" in sys.modules:
            _set_here.update(environment)
        else:
            _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def prepared(environment: Mapping[str, str]) -> Iterator[None]:
    """``first_import`` for a block that needs this environment. Raises ConfigError where Keras has another backend."""
    require(environment)
    with first_import(environment):
        yield


def require(environment: Mapping[str, str]) -> None:
    """Raise ConfigError where this process has imported Keras with another backend than the environment names."""
    backend, expected = imported_backend(), environment.get(BACKEND)
    if backend is not None and expected is not None and backend != expected:
        raise ConfigError(
            f"this process has imported Keras with {backend}, and the run needs {expected}: a process can hold one of "
            f"them, so train it with hydra/launcher=packed, or in a command of its own"
        )


def imported_backend() -> str | None:
    """What Keras computes with in this process; None where it is not imported."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.config.backend())


def exported() -> dict[str, str]:
    """The environment, without what has been set here."""
    return {name: value for name, value in os.environ.items() if _set_here.get(name) != value}
