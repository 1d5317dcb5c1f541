"""The faults that a sweep must survive, and the table of what was seen when each was tried.

A test says which fault it tries with ``@fault("...")`` and what it has seen with the fixture ``seen``; with
``--fault-table FILE`` pytest writes the table. It ends badly where a fault was not tried.
"""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

FAULTS = {
    "a lane killed with -9": "the other runs finish; the killed one is tried once more, alone, then `failed`, "
    'reason "killed by signal 9"; exit 1',
    "the command itself killed with -9": "its lanes end within seconds; the same command resumes; finished runs are "
    "not trained again",
    "Ctrl-C once": "running epochs end, states are saved, exit 130, the line to resume is printed",
    "Ctrl-C twice": "at once, and still nothing torn",
    "SIGTERM": "as Ctrl-C, exit 143, within 10 s",
    "interrupted at ten random moments": "the final table equals that of a sweep that was left alone",
    "a run raises": "only that run is `failed`, with its traceback in its log; every failure is listed at the end; "
    "exit 1",
    "a run calls sys.exit(3)": "the same",
    "fail_fast=true": "the rest is not started; exit 1",
    "a run over run_timeout_min": "`failed`, reason timeout; the others finish",
    "a loss that is NaN or infinite": "`diverged` at epoch k, in the table, never ranked best; others in its pack "
    "unharmed",
    "out of memory in a pack": "reason named; the pack is split and tried again; all runs finish",
    "disk full while writing a history": 'that run `failed`, reason "disk full"; rows already written readable',
    "disk full while writing a checkpoint": 'that run `failed`, reason "disk full"; the previous best.keras loads',
    "disk full while writing a report": "one line, exit 1; the runs are whole",
    "history.csv torn, empty or damaged": "the report names the file, marks the run as partial or leaves it out, "
    "keeps all others; exit 0 with a warning, 1 with --strict",
    "run.json truncated, not JSON, or missing": "the same",
    "best.keras damaged": "a clear error from evaluation; the table is unharmed",
    "two sweeps at once into one folder": "the second exits with 2 and names the first",
    "two sweeps started in the same second": "two folders",
    "a config or code file edited while the sweep runs": "all runs use what was there at its start",
    "the clock set back": "works",
    "a sweep folder that cannot be written": "one line, exit 2",
    "a path with spaces, quotes, Unicode and 200 characters": "works",
    "overrides with /, .., newlines, =, commas, lists": "folder names stay inside the sweep's folder, are unique and "
    "legible",
    "2,000 runs": "completes; the command's memory grows by less than 100 kB a run; the report opens",
}
"""Fault -> what must be seen."""


def fault(name: str) -> pytest.MarkDecorator:
    """Marks a test that tries a fault of FAULTS. It takes seconds."""
    if name not in FAULTS:
        raise ValueError(f"{name!r} is not in FAULTS")
    return pytest.mark.fault(name)


class FaultTable:
    """The plugin that gathers what was seen and writes the table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, list[str]] = {name: [] for name in FAULTS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        name = properties.get("fault")
        if name is None or (report.when != "call" and not report.failed and not report.skipped):
            return
        told = "; ".join(str(value) for key, value in report.user_properties if key == "seen")
        self.rows[str(name)].append(told if report.passed else f"**{report.outcome}** {told}".strip())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):  # one of xdist's workers: the table is the main process's
            return
        self.path.write_text("\n".join(self.lines()) + "\n", "utf-8")
        if not all(self.rows.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def lines(self) -> list[str]:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "hydra-core"))
        now = datetime.now(timezone.utc)
        rows = [[name, FAULTS[name], " / ".join(seen) or "**not tried**"] for name, seen in self.rows.items()]
        return [
            "# Faults",
            "",
            "What happens to a sweep when things go wrong, each tried for real: real processes, signals, full disks "
            "and damaged files. Written by `make faults`.",
            "",
            f"{now:%Y-%m-%d}, Python {platform.python_version()}, {versions}, {platform.system()}.",
            "",
            "| fault | what must be seen | seen |",
            "|---|---|---|",
            *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
        ]


def seen_fixture(request: pytest.FixtureRequest) -> Any:
    """What the fixture ``seen`` gives: call it with what was seen, in a few words."""
    return lambda text: request.node.user_properties.append(("seen", " ".join(str(text).split())))
