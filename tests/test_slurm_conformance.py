"""Hydra's own conformance suites, on a real Slurm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import version
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, LauncherTestSuite
from slurm_cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(autouse=True)
def on_slurm(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The suites expect that jobs change their folder, as without a version base."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    version.setbase("1.1")
    yield
    version.setbase("1.3")


@pytest.mark.parametrize(("launcher_name", "overrides"), [("packed_slurm", [])])
class TestConformance(LauncherTestSuite):
    pass


@pytest.mark.parametrize(("launcher_name", "overrides"), [("packed_slurm", ["hydra.sweeper.max_batch_size=2"])])
class TestConformanceOfBatches(BatchedSweeperTestSuite):
    pass
