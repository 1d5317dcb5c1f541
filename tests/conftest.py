"""Shared fixtures: composed configs, a tiny run, the real command line."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import fault_table
import pytest
from hydra import compose, initialize, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings
from launching import Launch
from omegaconf import DictConfig
from slurm_cluster import Cluster, missing
from tested_engine import ENGINE

from fashion_sweep import app
from fashion_sweep.data import fashion_mnist
from fashion_sweep.planning import run_spec
from fashion_sweep.training.train import RunSpec
from packed_jobs.hydra_internals.config_loader import fast_loader
from packed_jobs.local.devices import available_cores

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A shell that starts the tests in the background has them ignore these, and so would every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

settings.register_profile("thorough", max_examples=2000)
"""Twenty times as many inputs as usual: for ``pytest --hypothesis-profile=thorough``."""

CORES = available_cores()
TINY = ("trainer=fit", "data=synthetic", "data.samples=320", "data.image_size=8", "epochs=2")
"""Overrides that make a run of 256 training images: 8 steps an epoch."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", type=Path, help="write what was seen of each fault into this file")


def pytest_configure(config: pytest.Config) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        # Workers side by side have a core each, and so have the commands that they start: of lanes, too, there is one.
        os.sched_setaffinity(0, {CORES[int(worker.removeprefix("gw")) % len(CORES)]})
    path = config.getoption("--fault-table")
    if path is not None:
        config.pluginmanager.register(fault_table.FaultTable(path))


MEDIUM = {
    f"test_{name}"
    for name in ("batch", "composing", "composition", "evaluate_selected", "evaluation", "experiments", "figures",
                 "graph", "lane_starts", "lanes", "lone", "looks", "measuring", "packed_launcher", "planned_sweeper",
                 "report", "report_command", "reproduction", "models", "stackable")
}  # fmt: skip
"""Test modules that start processes, or try so much that it takes a second and more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        trains = "make_spec" in getattr(item, "fixturenames", ())
        if trains or item.path.stem in MEDIUM:
            item.add_marker(pytest.mark.medium)
        fault_table.mark(item)


def pytest_collection_finish() -> None:
    gc.freeze()  # Keras collects garbage before each model, and would search all that the tests import


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> fault_table.Told:
    """Tell the table of faults what was seen."""
    return fault_table.Told(request.node)


@pytest.fixture
def all_cores() -> Iterator[None]:
    """The test may use every core, beside the other workers."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield
    os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def real_images() -> None:
    """Fashion-MNIST is on this machine: a command that fetched it would tell of that."""
    fashion_mnist.load()


@pytest.fixture(scope="session")
def loader() -> ConfigLoader:
    """Composes our config as Hydra does, and reads each file once."""
    with initialize_config_dir(str(app.CONF), version_base="1.3"):
        return fast_loader(GlobalHydra.instance().config_loader())


@pytest.fixture
def composed(loader: ConfigLoader) -> Iterator[Callable[..., DictConfig]]:
    """Compose our config with overrides."""
    with initialize_config_dir(str(app.CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        hydra.config_loader = loader
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=True)


@pytest.fixture
def make_spec(composed: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., RunSpec]:
    """The spec of a tiny run in a new folder, with the engine that is tested."""

    def make(*overrides: str, folder: str = "run") -> RunSpec:
        engine = [f"trainer.engine={ENGINE}"] if "trainer=compiled" in overrides else []
        lines = [*TINY, *engine, *overrides]
        config = composed(*lines)
        resolved = run_spec.resolved(config)
        choices = run_spec.group_choices(config.hydra)
        return RunSpec(tmp_path / folder, resolved, choices, lines, run_spec.identity_of(resolved))

    return make


@pytest.fixture(scope="session")
def private_slurm() -> Iterator[Cluster]:
    """A cluster of this test session's own."""
    if missing():
        pytest.skip(missing())
    with TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # munge wants everybody to reach its socket
        cluster = Cluster(Path(folder) / "c")
        try:
            try:
                cluster.up()
            except (OSError, RuntimeError) as error:  # as in a container that may not make device files
                pytest.skip(f"Slurm cannot be brought up here: {error}")
            yield cluster
        finally:
            cluster.down()


@pytest.fixture
def slurm(private_slurm: Cluster) -> Iterator[Cluster]:
    """A cluster without jobs; what a test leaves there is cancelled."""
    yield private_slurm
    private_slurm.clear()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    """Launches batches of jobs with the packed launcher, into this test's folder."""
    with initialize(version_base="1.3", config_path=None, job_name="app"):
        yield partial(Launch, tmp_path)


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m fashion_sweep`` as a user does, in an empty folder."""

    def run(*arguments: str, **environment: Any) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "fashion_sweep", *arguments]
        env = {key: value for key, value in os.environ.items() if not key.startswith("TF_")} | environment
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture
def go(tmp_path: Path) -> Callable[[], None]:
    """Lets waiting runs go on."""
    return (tmp_path / "go").touch


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Skips the tests that need it where there is none."""
    from browsing import chromium  # imports Playwright, which few tests need

    with chromium() as started:
        yield started
