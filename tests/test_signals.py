"""Interruptions of a command that libraries lose: where cleaning up fails, another error takes their place."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sweeping import IN_S, QUICK, assert_told_briefly, run, site, statuses

from fashion_sweep.storage.sweep_dir import SweepDir

LOSES = """
import os, signal, sys, time
from {module} import {kind}

def losing(method):
    def lose(*arguments, **more):
        try:
            os.kill(os.getpid(), signal.{signal})
            time.sleep(5)
        except KeyboardInterrupt:
            {instead}
        return method(*arguments, **more)
    return lose

if "worker_main" not in " ".join(sys.orig_argv):
    {kind}.{method} = losing({kind}.{method})
"""


@pytest.mark.slow
@pytest.mark.parametrize("instead", ["pass", "raise AttributeError('of None')"], ids=["swallowed", "replaced"])
@pytest.mark.parametrize(
    ("number", "arguments"),
    [(signal.SIGINT, ["-m", "seed=0,1"]), (signal.SIGTERM, ["-m", "seed=0,1"]), (signal.SIGINT, ["--cfg", "job"])],
    ids=["sigint", "sigterm", "cfg"],
)
def test_an_interruption_that_is_lost_in_planning_ends_the_command(
    tmp_path: Path, number: signal.Signals, arguments: list[str], instead: str
) -> None:
    code = _losing(number, "hydra._internal.config_loader_impl", "ConfigLoaderImpl", "load_configuration", instead)
    done = run(tmp_path, *arguments, *QUICK, IN_S, **site(tmp_path, code))
    assert done.returncode == 128 + number, done.stderr
    assert_told_briefly(done)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize("instead", ["pass", "raise AttributeError('of None')"], ids=["swallowed", "replaced"])
@pytest.mark.parametrize("launcher", ["packed", "basic"])
def test_an_interruption_that_is_lost_in_launching_leaves_the_rest_to_resume(
    tmp_path: Path, launcher: str, instead: str
) -> None:
    code = _losing(signal.SIGINT, "hydra._internal.callbacks", "Callbacks", "on_multirun_start", instead)
    chosen = [each for each in QUICK if launcher == "packed" or not each.startswith("hydra.launcher")]
    done = run(tmp_path, "-m", "seed=0,1", *chosen, f"hydra/launcher={launcher}", IN_S, **site(tmp_path, code))
    assert done.returncode == 130, done.stderr
    assert_told_briefly(done)
    assert done.stdout.splitlines()[-1] == "Resume: python -m fashion_sweep resume=s"
    assert "completed" not in statuses(tmp_path / "s")
    assert (SweepDir(tmp_path / "s").report / "index.html").exists()


def _losing(number: signal.Signals, module: str, kind: str, method: str, instead: str) -> str:
    """What has a process signal itself as it calls a method, and do something instead of being interrupted."""
    return LOSES.format(signal=number.name, module=module, kind=kind, method=method, instead=instead)
