"""The real command line, in real processes, as a user types it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fixture_types import Command
from optional import present

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

TINY = ("data=synthetic", "data.samples=320", "data.image_size=8")
ROOT = Path(__file__).parents[1]


def only(folder: Path) -> Path:
    [child] = folder.iterdir()
    return child


@pytest.mark.slow
@pytest.mark.usefixtures("all_cores")
def test_a_sweep_ends_in_a_table_and_curves(command: Command, tmp_path: Path) -> None:
    done = command("-m", "optimizer=sgd,adam", "model.dropout=0,0.3", *TINY, "epochs=2", "data.limit=300")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    sweep = SweepDir(only(tmp_path / "outputs" / "sweeps"))
    assert len(sweep.run_dirs()) == 4
    lines = sorted(line for line in done.stdout.splitlines() if line.startswith("["))
    assert [line[:6] for line in lines] == ["[1/4] ", "[2/4] ", "[3/4] ", "[4/4] "]
    assert all(" completed: best val_loss " in line for line in lines)
    for run in sweep.run_dirs():
        names = {path.name for path in run.path.iterdir()}
        assert names == {".hydra", "run.json", "history.csv", "model.txt", "best.keras", "last.keras", "train.log"}
        assert "Epoch 2: loss" in run.log.read_text()
        assert "oneDNN" not in done.stdout + done.stderr  # TensorFlow's C++ messages
    with (sweep.report / "summary.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["optimizer"], float(row["dropout"]), row["status"]) for row in table] == [
        (optimizer, dropout, "completed") for optimizer in ("sgd", "adam") for dropout in (0.0, 0.3)
    ]
    reported = {path.name for path in sweep.report.iterdir()}
    assert {"summary.md", "index.html", "val_loss.png", "val_loss.svg", "accuracy.png"} <= reported
    assert {"train_vs_val.png", "samples.png"} <= reported
    assert json.loads(sweep.plan.read_text())["commands"][0].startswith("python -m fashion_sweep -m optimizer=sgd,adam")

    again = command("-m", "optimizer=sgd,adam", "model.dropout=0,0.3", *TINY, "epochs=2", "data.limit=300",
                    f"hydra.sweep.dir={sweep.path}")  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("4 of 4 runs were completed before\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "grid",
    [
        ["data=synthetic", "model.dropout=0,0.3", "optimizer=sgd,adam", "+optimizer.clipnorm=1"],
        ["optimizer=momentum,nesterov", "data=synthetic", "optimizer.momentum=0.8", "seed=0,0"],
    ],
    ids=["a fixed group before a swept one", "a key of the swept choices alone, and a point twice"],
)
def test_runs_lie_where_the_plan_says_whatever_the_order_of_overrides(
    command: Command, tmp_path: Path, grid: list[str]
) -> None:
    done = command("-m", *grid, "data.samples=320", "data.image_size=8", "epochs=1", "hydra.sweep.dir=s")
    assert done.returncode == 0, done.stderr
    sweep = SweepDir(tmp_path / "s")
    planned = [run.run for run in sweep.read_plan()[1]]
    assert sorted(planned) == sorted(path.parent.name for path in sweep.path.glob("*/run.json"))
    assert len(planned) == {"data=synthetic": 4, "optimizer=momentum,nesterov": 2}[grid[0]]


@pytest.mark.slow
def test_one_run_and_a_folder_that_holds_another(command: Command, tmp_path: Path) -> None:
    done = command(*TINY, "epochs=1", "hydra.run.dir=one run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Folder: one run"
    assert present(RunDir(tmp_path / "one run").read_record()).status is Status.COMPLETED
    other = command(*TINY, "epochs=1", "seed=1", "hydra.run.dir=one run")
    assert (other.returncode, other.stderr) == (
        2,
        "fashion-sweep: one run holds another run; give another hydra.run.dir\n",
    )


@pytest.mark.slow
def test_a_sweep_in_which_runs_do_not_complete_ends_with_1_and_a_report(command: Command, tmp_path: Path) -> None:
    done = command("-m", "optimizer=sgd", "optimizer.learning_rate=0.1,1e30", *TINY, "epochs=2", "hydra.sweep.dir=s")
    assert done.returncode == 1, done.stderr
    assert "diverged: loss became NaN or infinite in epoch 1" in done.stdout
    assert [present(run.read_record()).status for run in SweepDir(tmp_path / "s").run_dirs()] == [
        Status.COMPLETED,
        Status.DIVERGED,
    ]
    assert (tmp_path / "s" / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["optimizer=sdg"], "fashion-sweep: optimizer=sdg: no such choice; choose one of adagrad, adam,"),
        (["-m", "optimizer.learning_rate=0.1,-1"], "fashion-sweep: 1 of 2 grid points are wrong, nothing was trained:"),
        (["--config-dir", "nowhere"], "fashion-sweep: --config-dir nowhere: there is no such folder"),
        (
            ["--cfg", "job", "epochs=abc"],
            "fashion-sweep: epochs=abc: Value 'abc' of type 'str' could not be converted to Integer",
        ),
    ],
)
def test_a_wrong_command_is_answered_at_once_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: list[str], text: str
) -> None:
    done = command(*arguments, *TINY)
    assert done.returncode == 2
    assert done.stderr.startswith(text)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("flags", "key"), [(["-m"], "hydra.sweep.dir"), ([], "hydra.run.dir")])
def test_a_folder_that_cannot_be_made_is_named(
    command: Command, tmp_path: Path, flags: list[Any] | list[str], key: str
) -> None:
    (tmp_path / "file").write_text("")
    done = command(*flags, *TINY, f"{key}=file/x")
    assert done.returncode == 2
    assert done.stderr == f"fashion-sweep: file/x cannot be made (Not a directory); give another {key}\n"


def test_nothing_before_the_first_run_imports_anything_heavy() -> None:
    heavy = "{'tensorflow', 'keras', 'pandas', 'seaborn', 'matplotlib', 'sklearn'}"
    code = f"import sys, fashion_sweep.app; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_help_shows_the_commands_and_the_config(command: Command) -> None:
    done = command("--help")
    assert done.returncode == 0
    assert "python -m fashion_sweep -m optimizer=sgd,adam,rmsprop model.dropout=0,0.3" in done.stdout
    assert "learning_rate: 0.001" in done.stdout


def test_shell_completion_offers_the_choices(command: Command) -> None:
    line = "fashion-sweep optimizer=ada"
    done = command("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.returncode == 0, done.stderr
    assert {"optimizer=adagrad", "optimizer=adam", "optimizer=adamw"} <= set(done.stdout.split())
    assert "complete" in command("-sc", "install=bash").stdout


@pytest.mark.slow
def test_a_wheel_holds_the_config_and_runs_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert (site / "fashion_sweep" / "conf" / "optimizer" / "adam.yaml").is_file()
    assert (site / "hydra_plugins" / "packed_launcher" / "launcher.py").is_file()
    assert not (site / "hydra_plugins" / "__init__.py").exists()
    entry = (next(site.glob("*.dist-info")) / "entry_points.txt").read_text()
    assert "fashion-sweep = fashion_sweep.__main__:main" in entry
    assert "fashion-sweep-report = fashion_sweep.__main__:report" in entry
    code = "import sys; sys.argv[0] = 'fashion-sweep'; from fashion_sweep import app; print(app.CONF); app.main()"
    words = [sys.executable, "-c", code, *TINY, "epochs=1"]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(site / "fashion_sweep" / "conf")
    assert present(RunDir(only(tmp_path / "outputs" / "runs")).read_record()).status is Status.COMPLETED
