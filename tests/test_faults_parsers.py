"""Files of a sweep that hold anything: each costs its own run at most, and nothing of them reaches a terminal raw."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import (
    HERE,
    IN_S,
    QUICK,
    assert_told_briefly,
    complaint,
    environment,
    run,
    script,
    table,
    words,
)

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir

ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m"
DEEP = "[" * 100_000
MIB = 2**20


@pytest.fixture(scope="module")
def quick_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three runs whose trainer imports no TensorFlow."""
    folder = tmp_path_factory.mktemp("quick")
    done = run(folder, "-m", "seed=0,1,2", *QUICK, IN_S)
    assert done.returncode == 0, done.stderr
    return folder / "s"


@pytest.fixture
def sweep(quick_sweep: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(quick_sweep, tmp_path / "s"))


def reported(sweep: Path) -> subprocess.CompletedProcess[str]:
    done = script(sweep.parent, "report", sweep.name)
    assert_told_briefly(done)
    assert done.returncode == 0, done.stderr
    return done


def assert_clean(*done: subprocess.CompletedProcess[str]) -> None:
    for each in done:
        assert not [text for text in ("\x1b[2J", "\x1b]0;", "\u202e", "\x9b") if text in each.stdout + each.stderr]


@fault("samples.npz with a wrong byte, or anything else", rare=True)
def test_damaged_samples(sweep: Path, seen: Seen) -> None:
    samples = sweep / "samples.npz"
    whole = samples.read_bytes()
    other = bytearray(whole)
    other[whole.find(b"PK\1\2") + 10] = other[whole.find(b"PK\3\4") + 8] = 77  # a compression that nobody knows
    for content in (bytes(other), b"", b"PK\3\4", whole[:200], whole.replace(b"NUMPY", b"nUMPY")):
        samples.write_bytes(content)
        reported(sweep)
    samples.unlink()
    samples.mkdir()
    reported(sweep)
    seen("6 kinds of damage: exit 0 each, the report without the pictures")


REQUESTS: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda request: request.clear(),
    lambda request: request.update(overrides=None),
    lambda request: request.update(overrides=[1]),
    lambda request: request.update(overrides="seed=0"),
    lambda request: request.update(config_name=5),
    lambda request: request.update({key: {"a": []} for key in request}),
)


@fault("sweep.json edited by hand", rare=True)
def test_edited_plans(sweep: Path, seen: Seen) -> None:
    plan = sweep / "sweep.json"
    whole = json.loads(plan.read_text())
    key = "request" if "request" in whole else "requests"
    texts = []
    for edit in REQUESTS:
        edited = json.loads(json.dumps(whole))
        edit(edited[key] if key == "request" else edited[key][-1])
        plan.write_text(json.dumps(edited))
        texts.append(complaint(run(sweep.parent, "resume=s")))
    for content in (DEEP, '{"a": ' * 50_000, "null", "[]", '{"runs": 5}', '"\\ud800"', "\ufeff{}", "9" * 10_000):
        plan.write_text(content)
        texts.append(complaint(run(sweep.parent, "resume=s")))
        reported(sweep)
    assert all("sweep.json" in text for text in texts)
    seen(f"{len(texts)} edits: exit 2 each, and the file is named; reports go on with the runs' own records")


@fault("sweep.json whose runs lie outside the folder", rare=True)
def test_plans_that_lead_outside(sweep: Path, seen: Seen) -> None:
    outside = sweep.parent / "outside"
    shutil.copytree(SweepDir(sweep).run_dirs()[0].path, outside)
    plan = sweep / "sweep.json"
    whole = plan.read_text()
    first = SweepDir(sweep).run_dirs()[0].path.name
    before = {path: path.stat().st_mtime_ns for path in outside.rglob("*")}
    for name in ("../outside", str(outside), "../../../etc", ".", "report", "", "a\u0000b"):
        plan.write_text(whole.replace(json.dumps(first), json.dumps(name)))
        for done in (run(sweep.parent, "resume=s"), script(sweep.parent, "report", "s")):
            assert_told_briefly(done)
            assert done.returncode in (0, 2), done.stderr
        assert "outside" not in {row["run"] for row in table(sweep)}
    assert {path: path.stat().st_mtime_ns for path in outside.rglob("*")} == before
    seen("7 names: nothing there is read or written")


@fault("owner.json nested deeply, or with escape sequences", rare=True)
def test_owners_with_escapes(sweep: Path, seen: Seen) -> None:
    owner = sweep / "owner.json"
    owner.write_text(DEEP)
    reported(sweep)
    assert_told_briefly(run(sweep.parent, "resume=s", "plan=true"))
    fields = {"host": f"other{ESCAPES}", "pid": 1, "start": "0", "since": ESCAPES, "token": "t", "boot": ESCAPES}
    owner.write_text(json.dumps(fields))
    done = run(sweep.parent, "resume=s", "seed=0,1,2,3")
    assert_told_briefly(done)
    assert_clean(done, script(sweep.parent, "report", "s"), run(sweep.parent, "resume=s", "plan=true"))
    seen("no traceback, and no escape sequence on the terminal")


def replaced(node: Any, value: Any) -> Any:
    """The node with each text in it replaced, but those that say which run it is and what became of it."""
    if isinstance(node, dict):
        kept = ("identity", "status", "run", "started", "ended")
        return {key: item if key in kept else replaced(item, value) for key, item in node.items()}
    if isinstance(node, list):
        return [replaced(item, value) for item in node]
    return value if isinstance(node, str) else node


@fault("records with escape sequences and lone surrogates in every text")
def test_records_with_escapes(sweep: Path, seen: Seen) -> None:
    first, other, third = SweepDir(sweep).run_dirs()
    for run_dir, value in ((first, ESCAPES), (other, "\ud800")):
        record = json.loads(run_dir.record.read_text())
        record["status"], record["reason"] = "failed", value
        run_dir.record.write_text(json.dumps(replaced(record, value)))
    shown = [reported(sweep), run(sweep.parent, "resume=s", "plan=true"), run(sweep.parent, "resume=s")]
    for done in shown:
        assert_told_briefly(done)
    assert_clean(*shown)
    assert present(third.read_record()).attempt == 1
    for path in (sweep / "report").iterdir():
        if path.suffix in (".html", ".csv", ".md"):
            assert "\x1b" not in path.read_text("utf-8", errors="strict")
    seen("report, plan=true and resume=: no traceback, no escape sequence on the terminal or in the report's files")


RECORDS: tuple[bytes, ...] = (
    DEEP.encode(), b"null", b"[]", b"{}", b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b'{"run": 5}', b"9" * 10_000, b"NaN",
    b'{"status": "completed"}',
)  # fmt: skip


VALUES: tuple[Any, ...] = (None, [], {"a": []}, -1, "x" * 10_000, 10**400)


@fault("run.json that holds anything", rare=True)
def test_records_of_anything(sweep: Path, seen: Seen) -> None:
    first, other, third = SweepDir(sweep).run_dirs()
    whole = json.loads(other.record.read_text())
    edited = [json.dumps({key: whole[key] if key == "identity" else value for key in whole}) for value in VALUES]
    contents = [*RECORDS, *map(str.encode, edited)]
    for one, another in zip(contents[::2], contents[1::2], strict=True):
        first.record.write_bytes(one)
        other.record.write_bytes(another)
        reported(sweep)
        assert third.path.name in {row["run"] for row in table(sweep)}
    done = run(sweep.parent, "resume=s")
    assert_told_briefly(done)
    assert done.returncode == 0, done.stderr
    found = [present(each.read_record()) for each in (first, other, third)]
    assert [record.status for record in found] == [Status.COMPLETED] * 3
    assert found[2].attempt == 1
    seen(f"{len(contents)} contents: exit 0, the other runs are shown; resume= trains those runs alone")


def peak_mib(folder: Path, command: list[str]) -> tuple[int, int, str]:
    """Exit code, MiB that the command and its children hold at most, and what it says."""
    wrapper = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
        "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", wrapper, *command], cwd=folder, env=environment(), capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip
    peak = int(done.stdout.rpartition("PEAK ")[2]) // (1024 if sys.platform != "darwin" else MIB)
    assert_told_briefly(done)
    return done.returncode, peak, done.stdout + done.stderr


@fault("a history of 1 GB", "a record of 1 GB", rare=True)
def test_files_of_a_gigabyte(sweep: Path, seen: Seen) -> None:
    first, other, _ = SweepDir(sweep).run_dirs()
    report = [sys.executable, str(HERE.parent / "scripts" / "report.py"), "s"]
    _, usual, _ = peak_mib(sweep.parent, report)
    lines = first.history.read_bytes().splitlines()
    block = (lines[-1] + b"\n") * (MIB // (len(lines[-1]) + 1))
    with first.history.open("ab") as file:
        for _ in range(1024):
            file.write(block)
    with other.record.open("r+b") as file:
        file.truncate(2**30)
    told = []
    for command in (report, words("resume=s", "plan=true"), words("resume=s")):
        code, peak, text = peak_mib(sweep.parent, command)
        assert code == 0, text
        assert peak < usual + 800
        told.append(f"{peak} MiB")
    assert other.record.stat().st_size < MIB  # trained again
    assert len(table(sweep)) == 3
    for row in ("a history of 1 GB", "a record of 1 GB"):
        seen(f"report, plan and resume= hold {', '.join(told)} at most (a report of small files {usual} MiB)", row)
