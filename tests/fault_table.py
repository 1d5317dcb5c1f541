"""Tests of faults, and the table of what was seen when each was tried.

A test says which faults of ``fault_rows`` it tries with ``@fault("...")`` and what it has seen with the fixture
``seen``; with ``--fault-table FILE`` pytest writes the table. It ends badly where a fault was not tried.
"""

from __future__ import annotations

import platform
import re
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import pytest
from fault_rows import FAULTS, KINDS

TEMPORARY = re.compile(r"/[^\s\"']*?/pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?[^/\s\"']+/")
"""The folder of a test, which says nothing to a reader of the table."""


def fault(*names: str, rare: bool = False) -> pytest.MarkDecorator:
    """Marks a test that tries faults of FAULTS. It takes seconds. rare: ``make test`` leaves it out, CI does not."""
    unknown = [name for name in names if name not in FAULTS]
    if unknown or not names:
        raise ValueError(f"{unknown} are not in FAULTS")
    return pytest.mark.fault(*names, rare=rare)


def tried_by(item: pytest.Item) -> list[str]:
    """The faults that a test tries."""
    return [str(name) for mark in item.iter_markers("fault") for name in mark.args]


def mark(item: pytest.Item) -> None:
    """Prepare a collected test: its markers, and what the table is to know of it."""
    names = tried_by(item)
    if not names:
        return
    item.user_properties.append(("faults", names))
    item.add_marker(pytest.mark.slow)
    if any(found.kwargs.get("rare") for found in item.iter_markers("fault")):
        item.add_marker(pytest.mark.rare)


class Told:
    """The fixture ``seen``: call it with what was seen, in a few words."""

    def __init__(self, item: pytest.Item) -> None:
        self._item, self._names = item, tried_by(item)

    def __call__(self, text: object, fault: str | None = None) -> None:
        """fault: which of the faults that the test tries; None where it tries one."""
        name = self._names[0] if fault is None else fault
        if name not in self._names or (fault is None and len(self._names) > 1):
            raise ValueError(f"{fault!r} is not among the faults of this test: {self._names}")
        told = TEMPORARY.sub("", " ".join(str(text).split()))
        self._item.user_properties.append(("seen", [name, told]))


class FaultTable:
    """The plugin that gathers what was seen and writes the table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, list[str]] = {name: [] for name in FAULTS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not report.failed and not report.skipped:
            return
        told = [value for key, value in report.user_properties if key == "seen"]
        names = next((value for key, value in report.user_properties if key == "faults"), [])
        assert isinstance(names, list)
        for name in names:
            seen = "; ".join(pair[1] for pair in told if isinstance(pair, list) and pair[0] == name)
            if report.failed or report.skipped:
                why = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else seen
                self.rows[name].append(f"**{report.outcome}** {why}".strip())
            elif seen:
                self.rows[name].append(seen)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):  # one of xdist's workers: the table is the main process's
            return
        self.path.write_text("\n".join(self.lines()) + "\n", "utf-8")
        if not all(self.rows.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def lines(self) -> list[str]:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "hydra-core"))
        now = datetime.now(timezone.utc)
        untried = sum(
            bool(seen) and all(text.startswith("**skipped**") for text in seen) for seen in self.rows.values()
        )
        could_not = f" {untried} could not be tried on this machine." if untried else ""
        return [
            "# Faults",
            "",
            f"What happens to a sweep when things go wrong: {len(FAULTS)} faults, tried for real, with real processes, "
            f"signals, full disks and damaged files.{could_not} Written by `make faults`.",
            "",
            f"{now:%Y-%m-%d}, Python {platform.python_version()}, {versions}, {platform.system()}.",
            *(line for kind in KINDS for line in self._section(kind)),
        ]

    def _section(self, kind: str) -> list[str]:
        rows = [[name, expected, " / ".join(self.rows[name]) or "**not tried**"]
                for name, expected in KINDS[kind].items()]  # fmt: skip
        return [
            "",
            f"## {kind}",
            "",
            "| fault | what must be seen | seen |",
            "|---|---|---|",
            *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
        ]
