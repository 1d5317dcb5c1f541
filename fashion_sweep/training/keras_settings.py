"""Finds settings of Keras on this machine that would train something else than the config says, or nothing at all.

Keras reads them as it is imported, which happens in the first run. So they are read here, as
``keras/src/backend/config.py`` reads them, but without Keras.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_sweep.errors import ConfigError, UnreadableError
from fashion_sweep.storage.reading import read_text
from fashion_sweep.training.engines.process import BACKEND, exported

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine

NNX = "KERAS_NNX_ENABLED"
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
"""Variables that end training early, whatever the config says."""

EXPECTED = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "nnx_enabled": False}
"""Keras' own defaults, which every recorded number was measured with."""


def check(engine: Engine) -> None:
    """Raise ConfigError if a setting has to be changed for runs of this engine."""
    problem = next(_problems(exported(), engine.environment[BACKEND]), None)
    if problem:
        raise ConfigError(f"Keras would not train what the config says: {problem}")


def _problems(environment: Mapping[str, str], engine: str) -> Iterator[str]:
    """What is set, where, and what to do about it. engine: the backend that the runs need."""
    for name in LIMITS:
        if name in environment:
            yield f"{name}={environment[name]} is set, which cuts training short; unset it"
    backend = environment.get(BACKEND, engine)
    if backend and backend != engine:
        yield f"the backend is {backend}, by {BACKEND}; expected {engine}: unset {BACKEND}"
    if environment.get(NNX, "").lower() in ("true", "1"):
        yield f"{NNX}={environment[NNX]} is set; unset it"
    # Where it names a backend, the environment comes before the file.
    yield from _problems_of_file(_file(environment), EXPECTED if backend else {**EXPECTED, "backend": engine})


def _problems_of_file(file: Path, expected: Mapping[str, Any]) -> Iterator[str]:
    if not os.path.exists(file):  # noqa: PTH110 which raises nothing, as in Keras
        return
    if not file.is_file():
        yield f"{file} is no file; remove it"
        return
    try:
        kept = json.loads(read_text(file))
    except (UnreadableError, RecursionError) as error:
        yield f"{file} cannot be read ({error}); remove it"
        return
    except ValueError:  # Keras goes on with its defaults
        return
    if not isinstance(kept, dict):
        yield f"{file} holds no settings; remove it"
        return
    for key, value in expected.items():
        if kept.get(key, value) != value:
            yield f"{key} is {kept[key]!r:.60}, by {file}; expected {value!r}: change it there, or remove the file"


def _file(environment: Mapping[str, str]) -> Path:
    """Where Keras looks for its settings."""
    home = os.path.expanduser("~")  # noqa: PTH111 which raises nothing, as in Keras
    folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")  # noqa: PTH118
    return Path(os.path.expanduser(environment.get("KERAS_HOME", folder))) / "keras.json"  # noqa: PTH111
