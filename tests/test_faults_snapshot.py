"""Copies of code and configs that a sweep keeps: of strange folders, on full disks, and when the command is killed."""

from __future__ import annotations

import os
import random
import shlex
import time
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from sweeping import (
    IN_S,
    QUICK,
    assert_told_briefly,
    complaint,
    environment,
    run,
    script_on_a_disk,
    started,
    statuses,
    words,
)

from fashion_sweep.storage.sweep_dir import SweepDir

NET = """
import keras

def net(input_shape, num_classes, units):
    output = keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), output])
"""
OWN = (*(each for each in QUICK if not each.startswith("model")), "model=wide")


def own_configs(folder: Path, target: str = "nets.net") -> dict[str, str]:
    """A folder of configs with a model of one's own; returns the environment that finds its code."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "wide.yaml").write_text(f"_target_: {target}\nunits: 4\n")
    code = folder.parent if target == "nets.net" else folder.parent.parent
    if target == "nets.net":
        (code / "nets.py").write_text(NET)
    return {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(code)])}


def files_in(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


@fault("--config-dir . and the sweeps below it", rare=True)
def test_configs_that_hold_the_sweep(tmp_path: Path, seen: Seen) -> None:
    mine = tmp_path / "mine"
    env = own_configs(mine)
    counts = []
    for seed in (0, 1):
        done = run(mine, "--config-dir", ".", "-m", *OWN, f"seed={seed}", **env)
        assert done.returncode == 0, done.stderr
        sweeps = sorted((mine / "outputs" / "sweeps").iterdir())
        counts.append(files_in(sweeps[-1] / "code"))
    assert counts[0] == counts[1]
    seen(f"exit 0; the second sweep's copy has {counts[1]} files, as the first one's")


@fault("sweeps started inside one's own package", rare=True)
def test_a_package_that_holds_the_sweeps(tmp_path: Path, seen: Seen) -> None:
    package = tmp_path / "pkg" / "mypkg"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(NET)
    env = own_configs(package / "g", "mypkg.nets.net")
    counts = []
    for seed in (0, 1, 2):
        done = run(package, "--config-dir", "g", "-m", *OWN, f"seed={seed}", f"hydra.sweep.dir=out/{seed}", **env)
        assert done.returncode == 0, done.stderr
        counts.append(files_in(package / "out" / str(seed) / "code"))
    assert len(set(counts)) == 1
    seen(f"exit 0; each copy has {counts[0]} files")


@fault(
    "an editor's lock file among the configs",
    "configs with a link to the folder above",
    "a link to nothing among one's own code",
)
def test_links_among_configs(tmp_path: Path, seen: Seen) -> None:
    mine = tmp_path / "mine"
    package = tmp_path / "mypkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(NET)
    env = own_configs(mine, "mypkg.nets.net") | {
        "PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(tmp_path)])
    }
    done = run(tmp_path, "--config-dir", "mine", "-m", *OWN, "seed=0", "hydra.sweep.dir=without", **env)
    assert done.returncode == 0, done.stderr
    without = files_in(tmp_path / "without" / "code")
    (mine / "model" / ".#wide.yaml").symlink_to("user@host.1234:1700000000")
    (mine / "model" / "gone.yaml").symlink_to("nowhere.yaml")
    (mine / "model" / "up").symlink_to("..")
    (package / "gone.py").symlink_to("nowhere.py")
    (package / "round").symlink_to(".")
    done = run(tmp_path, "--config-dir", "mine", "-m", *OWN, "seed=0", IN_S, **env)
    assert done.returncode == 0, done.stderr
    count = files_in(tmp_path / "s" / "code")
    assert count == without
    again = run(tmp_path, "resume=s", "seed=0,1", **env)
    assert again.returncode == 0, again.stderr
    for row in (
        "an editor's lock file among the configs",
        "configs with a link to the folder above",
        "a link to nothing among one's own code",
    ):
        seen(f"exit 0, {count} files copied; resume= composes from them", row)


@fault("a folder of configs with 20,000 files", rare=True)
def test_configs_without_end(tmp_path: Path, seen: Seen) -> None:
    mine = tmp_path / "mine"
    env = own_configs(mine)
    (mine / "many").mkdir()
    for number in range(20_000):
        (mine / "many" / f"{number}.yaml").touch()
    text = complaint(run(tmp_path, "--config-dir", "mine", "-m", *OWN, "seed=0", IN_S, **env))
    assert "mine" in text
    assert not (tmp_path / "s" / "sweep.json").exists()
    seen(f'exit 2: "{text.replace(str(tmp_path), "")}"')


@fault("a config that cannot be read")
def test_a_config_that_cannot_be_read(tmp_path: Path, seen: Seen) -> None:
    mine = tmp_path / "mine"
    env = own_configs(mine)
    (mine / "model" / "other.yaml").symlink_to("/proc/self/mem")
    text = complaint(run(tmp_path, "--config-dir", "mine", "-m", *OWN, "seed=0", IN_S, **env))
    assert "other.yaml" in text
    assert not text.startswith("s cannot be written")
    seen(f'exit 2: "{text.replace(str(tmp_path), "")}"')


@fault("disk full while code and configs are copied", rare=True)
@pytest.mark.parametrize("kib", [600, pytest.param(500, marks=pytest.mark.rare),
                                 pytest.param(700, marks=pytest.mark.rare)])  # fmt: skip
def test_a_disk_that_is_full_at_the_start(tmp_path: Path, seen: Seen, kib: int) -> None:
    steps = f"""
    {shlex.join(words("-m", *QUICK, "seed=0", IN_S))} > "$kept/out" 2> "$kept/err"
    echo $? > "$kept/first"
    ls s > "$kept/left" 2> /dev/null
    mount -o remount,size=64m .
    {shlex.join(words("resume=s"))} > "$kept/out2" 2> "$kept/err2"
    echo $? > "$kept/resumed"
    """
    kept = script_on_a_disk(tmp_path, f"size={kib}k", steps)
    first, resumed = (int((kept / name).read_text()) for name in ("first", "resumed"))
    errors = (kept / "err").read_text() + (kept / "err2").read_text()
    assert "Traceback" not in errors
    assert first in (1, 2), errors
    has_plan = "sweep.json" in (kept / "left").read_text().split()
    if has_plan:
        assert resumed == 0, errors
    seen(f"{kib} KiB: exit {first}, {'resumed with exit 0' if has_plan else 'no plan left to resume'}")


@fault("the command killed with -9 as it begins", rare=True)
def test_a_command_that_is_killed_early(tmp_path: Path, seen: Seen) -> None:
    chance, planned = random.Random(0), 0
    for number in range(6):
        sweep = tmp_path / f"s{number}"
        with started(tmp_path, "-m", "seed=0", *QUICK, f"hydra.sweep.dir={sweep.name}") as process:
            while not sweep.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
        if (sweep / "sweep.json").exists():
            planned += 1
            shown = run(tmp_path, f"resume={sweep.name}", "plan=true")
            assert shown.returncode == 0, shown.stderr
    done = run(tmp_path, "-m", "seed=0", *QUICK, "hydra.sweep.dir=s0")
    assert done.returncode == 0, done.stderr
    assert_told_briefly(done)
    assert len(SweepDir(tmp_path / "s0").run_dirs()) == 1
    seen(
        f"6 times, {planned} of them after its plan was written, which resume= reads; then {statuses(tmp_path / 's0')}"
    )
