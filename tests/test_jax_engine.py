"""The tests of engines, with JAX: in a process of its own, as Keras can have one backend.

By hand: ``TESTED_ENGINE=jax KERAS_BACKEND=jax pytest tests/test_compiled.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_sweep.training.engines.jax.settings import ENVIRONMENT

HERE = Path(__file__).parent
MODULES = ("compiled", "compiled_callbacks", "dropout", "state", "jax_program", "structure", "model_checkpoint")
LEFT_OUT = ("[fit", "-fit]", "sigterm", "momentum", "nesterov", "adagrad", "rmsprop", "nadam", "sigmoid", "softmax")
"""Parts of names: of tests of the trainer ``fit``, and of optimizers and models that the conformance tests try, too."""


@pytest.mark.slow
def test_what_holds_for_tensorflow_holds_for_jax() -> None:
    files = [str(HERE / f"test_{name}.py") for name in MODULES]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        f"not ({' or '.join(LEFT_OUT)})",
        *files,
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= {**ENVIRONMENT, "TESTED_ENGINE": "jax"}
    done = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
