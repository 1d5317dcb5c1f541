from __future__ import annotations

from pathlib import Path

import pytest

from packed_jobs.local.memory import GIB, limit_gib, memory_gib, memory_held_gib, share_gib


def test_a_lane_may_hold_what_the_config_says_or_its_share_or_what_it_needs() -> None:
    assert share_gib(4) == pytest.approx(0.75 * memory_gib() / 4)
    assert limit_gib(2.5, 4.0, 5.0) == 2.5
    assert limit_gib(None, 4.0, 1.0) == 4.0
    assert limit_gib(None, 0.1, 1.0) == 1.5


def test_a_process_holds_some_of_the_machines_memory() -> None:
    assert 0.01 < memory_held_gib() < memory_gib()


def test_the_smallest_limit_of_a_control_group_and_those_above_counts(tmp_path: Path) -> None:
    groups, own = tmp_path / "groups", tmp_path / "own"
    own.write_text("0::/batch/job\n")
    (groups / "batch" / "job").mkdir(parents=True)
    whole = memory_gib(groups, own)
    (groups / "batch" / "job" / "memory.max").write_text("max\n")
    assert memory_gib(groups, own) == whole
    (groups / "batch" / "memory.max").write_text(f"{GIB // 8}\n")
    assert memory_gib(groups, own) == 0.125
    (tmp_path / "memory.max").write_text("1\n")  # outside
    assert memory_gib(groups, own) == 0.125
    own.write_text("no control groups")
    assert memory_gib(groups, own) == whole
