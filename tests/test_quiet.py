"""Where C++ code and Python write to while runs train: tried in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import logging, os, sys
from pathlib import Path
from fashion_sweep.training.native_output import native_output_to
with native_output_to(Path(sys.argv[1])):
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)
    handler = logging.StreamHandler()  # keeps sys.stderr, as TensorFlow's logger does that is imported here
    logging.getLogger().addHandler(handler)
    logging.warning("first")
logging.warning("between")
with native_output_to(Path(sys.argv[1])):
    logging.warning("second")
    os.write(2, b"native again\\n")
os.write(2, b"after\\n")
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Python, without what TensorFlow's and JAX's imports have left in the environment of the tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    command = [sys.executable, "-c", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


def test_what_is_native_goes_to_the_file_and_what_is_pythons_to_the_terminal(tmp_path: Path) -> None:
    done = run(CODE, str(tmp_path / "log"))
    assert done.stderr.splitlines() == ["python", "first", "between", "second", "after"]
    assert (tmp_path / "log").read_text() == "native\nnative again\n"


def test_in_place_of_a_file_there_may_be_none() -> None:
    importing = "import os\nfrom fashion_sweep.training.native_output import native_output_to\n"
    assert run(importing + "with native_output_to(None): os.write(2, b'x')").stderr == ""


TRAINER = """
import logging, os, sys
from fashion_sweep.training.trainer import trainer_of
trainer_of({"trainer": {"_target_": "fashion_sweep.training.compiled.compiled"}}).warm_up()
import tensorflow as tf
logging.basicConfig(filename=sys.argv[1])  # what Hydra does when a job starts
tf.get_logger().warning("of the run")
assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
"""


@pytest.mark.slow
def test_what_tensorflow_warns_of_stands_in_the_log_of_the_run_and_not_on_the_terminal(tmp_path: Path) -> None:
    done = run(TRAINER, str(tmp_path / "log"))
    assert done.stderr == ""
    assert "of the run" in (tmp_path / "log").read_text()


IMPORTED = """
import os
from fashion_sweep.training.native_output import importing, native_output_to
with importing(None):
    import jax
with native_output_to(None):
    os.write(2, b"native")
"""


def test_jax_which_sets_how_much_is_logged_has_not_been_asked_for_that() -> None:
    assert run(IMPORTED).stderr == ""
    assert run("import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '0'\n" + IMPORTED).stderr == "native"
