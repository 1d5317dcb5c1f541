"""What a launcher costs a job: a Hydra app of its own whose jobs do nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from benchmarks.processes import run, shown

LAUNCHERS = ("basic", "joblib", "packed")
PLUGINS = {"joblib": "hydra_plugins.hydra_joblib_launcher", "packed": "hydra_plugins.packed_launcher"}
WORKERS = 2
"""Processes of joblib."""

_APP = """\
import hydra


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def run(config):
    return float(config.number)


if __name__ == "__main__":
    run()
"""
_CONFIG = """\
number: 0
model:
  hidden_units: [100]
  dropout: 0.0
optimizer:
  name: adam
  learning_rate: 0.001
hydra:
  sweep:
    dir: sweep
"""


def why_not(launcher: str) -> str:
    """Why a launcher cannot be measured; empty where it can."""
    plugin = PLUGINS.get(launcher)
    try:
        found = plugin is None or importlib.util.find_spec(plugin) is not None
    except ModuleNotFoundError:  # there is no plugin at all
        found = False
    return "" if found else f"{launcher} launcher is not installed"


def launcher_overrides(launcher: str) -> list[str]:
    """What chooses a launcher on the command line."""
    return [f"hydra/launcher={launcher}", *([f"hydra.launcher.n_jobs={WORKERS}"] if launcher == "joblib" else [])]


def command(launcher: str, jobs: int, folder: Path) -> list[str]:
    """The sweep of the app in a folder."""
    overrides = [f"number=range({jobs})", *launcher_overrides(launcher), f"hydra.sweep.dir=sweep_{jobs}"]
    return [sys.executable, str(folder / "app.py"), "-m", *overrides]


def measure(launcher: str, jobs: int, folder: Path) -> tuple[dict[str, float], str]:
    """Quantities of a sample, and the command. folder: an empty one. Raises CommandError.

    What does not grow with the jobs (start of the processes, imports) is taken off by a sweep of a single one.
    """
    (folder / "app.py").write_text(_APP)
    (folder / "config.yaml").write_text(_CONFIG)
    one, many = (run(command(launcher, count, folder), folder).seconds for count in (1, jobs))
    return per_job(one, many, jobs), shown(command(launcher, jobs, folder), folder)


def per_job(one: float, many: float, jobs: int) -> dict[str, float]:
    """one, many: seconds of sweeps of a single job and of all."""
    return {"seconds_of_1": one, "seconds_of_all": many, "ms_per_job": 1000 * (many - one) / (jobs - 1)}
