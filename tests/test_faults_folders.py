"""Names of folders, and what lies where a command would write: nothing of others is deleted or overwritten."""

from __future__ import annotations

import csv
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from fault_table import fault
from fixture_types import Compose, Seen
from html_page import Page
from optional import present
from sweeping import IN_S, QUICK, SMALL, assert_told_briefly, by_act, complaint, records, run, script, statuses

from fashion_sweep.data import loading
from fashion_sweep.planning import run_spec
from fashion_sweep.storage import identity
from fashion_sweep.storage.sweep_dir import SweepDir

MINE = "this is mine\n"


def mine(*paths: Path) -> None:
    """Files of the user's own."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MINE)


def assert_untouched(*paths: Path) -> None:
    assert [path.read_text() for path in paths] == [MINE] * len(paths)


@pytest.mark.parametrize(("files", "where"), [
    pytest.param(["code/conf/notes.txt", "code/fashion_sweep/app.py"], ["-m", "hydra.sweep.dir=."], id="code",
                 marks=fault("a sweep into a project that has a folder code")),
    pytest.param(["report/index.html"], ["-m", "hydra.sweep.dir=."], id="report",
                 marks=fault("a sweep into a project that has a folder report", rare=True)),
    pytest.param(["s/sweep.json"], ["-m", "hydra.sweep.dir=s"], id="plan",
                 marks=fault("a sweep into a folder that has a sweep.json of another program", rare=True)),
    pytest.param(["s/train.log", "s/best.keras"], ["hydra.run.dir=s"], id="run",
                 marks=fault("a run into a folder that has a train.log of another program")),
])  # fmt: skip
def test_files_in_the_way(tmp_path: Path, seen: Seen, files: list[str], where: list[str]) -> None:
    paths = [tmp_path / name for name in files]
    mine(*paths)
    text = complaint(run(tmp_path, *where, "seed=0", *QUICK))
    assert_untouched(*paths)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)
    seen(f'exit 2: "{text}"')


@fault(
    "a sweep's folder report that has become a link",
    "a sweep's folder code that has become a link",
    "a run's folder that has become a link",
    "a run's record that has become a link",
    rare=True,
)
def test_links_out_of_a_sweep(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0", *QUICK, IN_S).returncode == 0
    sweep = tmp_path / "s"
    own = [tmp_path / "own" / name for name in ("index.html", "summary.csv", "conf/config.yaml", "run.json")]
    mine(*own)
    for name in ("report", "code"):
        (sweep / name).rename(tmp_path / name)
        (sweep / name).symlink_to(tmp_path / "own")
        done = run(tmp_path, "resume=s", "seed=0,1" if name == "code" else "seed=0")
        assert_told_briefly(done)
        assert done.returncode in (1, 2), done.stderr
        assert_untouched(*own)
        (sweep / name).unlink()
        (tmp_path / name).rename(sweep / name)
        seen(
            f'exit {done.returncode}: "{done.stderr.strip()[:160]}"', f"a sweep's folder {name} that has become a link"
        )
    [only] = SweepDir(sweep).run_dirs()
    for path, row in (
        (only.record, "a run's record that has become a link"),
        (only.path, "a run's folder that has become a link"),
    ):
        path.rename(tmp_path / "kept")
        path.symlink_to(own[3] if path == only.record else tmp_path / "own")
        done = run(tmp_path, "resume=s")
        assert_told_briefly(done)
        assert_untouched(*own)
        assert {each.name for each in (tmp_path / "own").iterdir()} == {"index.html", "summary.csv", "conf", "run.json"}
        path.unlink()
        (tmp_path / "kept").rename(path)
        seen(f"exit {done.returncode}; what it leads to is untouched", row)


@fault("a run's folder that holds files of one's own", rare=True)
def test_a_run_folder_that_is_taken(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0", *QUICK, "hydra.sweep.dir=p").returncode == 0
    [name] = [each.path.name for each in SweepDir(tmp_path / "p").run_dirs()]
    own = [tmp_path / "s" / name / "history.csv", tmp_path / "s" / name / ".1.backup"]
    mine(*own)
    done = run(tmp_path, "-m", "seed=0", *QUICK, IN_S)
    assert_told_briefly(done)
    assert done.returncode == 2, done.stdout
    assert_untouched(*own)
    seen(f'exit 2: "{done.stderr.strip().partition(": ")[2][:160]}"')


@fault("a report into a folder of one's own", rare=True)
def test_a_report_into_a_folder_of_ones_own(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0", *QUICK, IN_S).returncode == 0
    own = [tmp_path / "site" / "index.html", tmp_path / "site" / "summary.csv"]
    mine(*own)
    done = script(tmp_path, "report", "s", "--output", "site")
    assert_told_briefly(done)
    assert done.returncode == 2, done.stdout
    assert_untouched(*own)
    seen(f'exit 2: "{done.stderr.strip().partition(": ")[2]}"')


def two_alike(composed: Compose) -> tuple[int, int]:
    """Numbers of epochs of two runs whose identities begin with the same 8 hex digits."""
    config = run_spec.resolved(composed("seed=0", *QUICK))
    fingerprint = loading.load(config["data"]).fingerprint
    met: dict[str, int] = {}
    for epochs in itertools.count(2):
        begin = identity.identity({**config, "epochs": epochs}, fingerprint)[:8]
        if begin in met:
            return met[begin], epochs
        met[begin] = epochs
    raise AssertionError


@fault("two runs whose identities begin alike", rare=True)
def test_identities_that_begin_alike(tmp_path: Path, seen: Seen, composed: Compose) -> None:
    one, other = two_alike(composed)
    quick = [*QUICK, "trainer._target_=faulty_trainer.nothing"]
    for epochs in (one, other, one):
        done = run(tmp_path, "-m", "seed=0", *quick, f"epochs={epochs}", IN_S)
        assert done.returncode == 0, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert sorted(record.config["epochs"] for record in found) == sorted([one, other])
    assert len({record.identity for record in found}) == 2
    assert [record.attempt for record in found] == [1, 1]
    seen(f"two folders: {', '.join(sorted(record.run for record in found))}; each is found again")


@fault("hydra.sweep.subdir of one's own", rare=True)
def test_a_subdir_of_ones_own(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, "hydra.sweep.subdir=${hydra.job.num}", IN_S)
    if done.returncode == 2:
        seen(f'exit 2: "{complaint(done)}"')
        return
    assert done.returncode == 0, done.stderr
    shown = run(tmp_path, "resume=s", "plan=true")
    assert "0 to train" in shown.stdout
    seen("exit 0; resume= finds the runs where they are")


@fault("hydra.job.chdir=true and a data.path that is relative", rare=True)
def test_a_relative_path_and_chdir(tmp_path: Path, seen: Seen) -> None:
    images = np.random.default_rng(0).integers(0, 256, (160, 8, 8)).astype("uint8")
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(160) % 10)
    given = [each for each in SMALL if not each.startswith("data")]
    done = run(tmp_path, "-m", "data=npz", "data.path=d.npz", *given, "seed=0,1", "hydra.job.chdir=true", IN_S)
    assert_told_briefly(done)
    assert done.returncode in (0, 2), done.stderr
    seen(f"exit {done.returncode}; {statuses(tmp_path / 's') if not done.returncode else complaint(done)}")


HOSTILE = ("'<script>alert(1)</script>'", "'=cmd|calc!A0'", "'a: [b, {c: *d'", "'\"x\" & ../../y'")


@fault("names that are HTML, formulas of a spreadsheet or YAML", rare=True)
def test_names_that_are_code(tmp_path: Path, seen: Seen) -> None:
    quick = [each.replace("wait_for: null}", "wait_for: null, name: null}") for each in QUICK]
    done = run(tmp_path, "-m", "seed=0", *quick, f"trainer.name={','.join(HOSTILE)}", IN_S)
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "s"
    names = [present(each.read_record()).config["trainer"]["name"] for each in SweepDir(sweep).run_dirs()]
    assert sorted(names) == sorted(each.strip("'") for each in HOSTILE)
    page = (sweep / "report" / "index.html").read_text()
    assert "<script>alert" not in page
    assert Page(page).open == []
    with (sweep / "report" / "summary.csv").open() as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+cmd", "-cmd"))]
    assert run(tmp_path, "resume=s", "plan=true").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"s"}
    seen(f"{statuses(sweep)}; shown as texts in the page and the tables; resume= composes them again")


@fault("a sweep that was moved and copied", rare=True)
def test_a_sweep_that_was_copied(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S).returncode == 0
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    (tmp_path / "s").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        done = run(tmp_path, f"resume={name}", "seed=0,1,2")
        assert done.returncode == 0, done.stderr
        assert sorted(records(tmp_path / name)) == [0, 1, 2]
        assert {record.attempt for record in records(tmp_path / name).values()} == {1}
    assert not (tmp_path / "s").exists()
    assert by_act(tmp_path / "copy")
    seen("resume= of each trains one more run there, and none of the others again")
