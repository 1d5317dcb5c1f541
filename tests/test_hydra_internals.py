"""What we rely on of Hydra's and OmegaConf's private names, where they may be used, and what happens without them."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import omegaconf.base
import pytest
from hydra import initialize
from hydra.conf import HydraConf
from hydra.core import utils
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, ListConfig, Node, OmegaConf

from packed_jobs.hydra_internals import clone, config_loader, run_job, versions, yaml
from packed_jobs.hydra_internals.hydra_config import as_hydra_config, current
from packed_jobs.hydra_internals.job_return import result_of

ROOT = Path(__file__).parents[1]
ROOMS = ("packed_jobs", "hydra_plugins", "fashion_sweep")
STATE = {"_content", "_metadata", "_parent", "_flags_cache", "_val", "_return_value", "_instances", "_resolvers"}
"""Attributes that instances have, and their classes have not."""


def private_names() -> set[str]:
    """Private attributes of the classes of configs and JobReturns."""
    names = {name for cls in (DictConfig, ListConfig, Node, OmegaConf, JobReturn, HydraConfig) for name in dir(cls)}
    return STATE | {name for name in names if name.startswith("_") and not name.startswith("__")}


def private_uses(source: str) -> list[str]:
    """Uses of private names of Hydra and OmegaConf in a module's source, as written."""
    names = private_names()
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _is_private(node, names)]


def _is_private(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Import):
        return any(_is_private_module(each.name) for each in node.names)
    if isinstance(node, ast.ImportFrom):
        return any(_is_private_module(f"{node.module}.{each.name}") for each in node.names)
    if isinstance(node, ast.Attribute):  # also HydraConfig.instance().cfg
        own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        return (node.attr in names and not own) or ast.unparse(node).endswith("HydraConfig.instance().cfg")
    if isinstance(node, ast.keyword):
        return node.arg in names
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in STATE


def _is_private_module(name: str) -> bool:
    first, *rest = name.split(".")
    return first in ("hydra", "omegaconf") and any(each.startswith("_") and not each.startswith("__") for each in rest)


@pytest.mark.parametrize(
    "line",
    [
        "from hydra._internal.utils import get_args_parser",
        "from hydra import _internal",
        "import omegaconf._utils",
        "config._get_parent()",
        "config.a._metadata",
        "config.__dict__['_content']",
        "job_return._return_value",
        "JobReturn(_return_value=1)",
        "HydraConfig.instance().cfg = config",
    ],
)
def test_a_private_use_is_found(line: str) -> None:
    assert private_uses(line)
    assert not private_uses("from hydra import __version__\nself._content = config.a\n'a _content'")


def test_private_names_are_used_in_one_place_alone() -> None:
    files = {path.relative_to(ROOT).as_posix(): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}
    found = {name: private_uses(path.read_text()) for name, path in files.items() if "hydra_internals" not in name}
    used = {name: uses for name, uses in found.items() if uses}
    assert used == {}


def test_the_installed_versions_are_those_written_for() -> None:
    assert versions.are_known()
    assert versions.are_known("1.3.99", "2.3.0.dev1")
    assert not versions.are_known("1.4.0", "2.3.1")
    assert not versions.are_known("1.3.8", "2.4.0")
    assert "expected hydra-core 1.3, omegaconf 2.3" in versions.why_unknown()


@pytest.fixture(params=[True, False], ids=["known", "unknown"])
def known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With versions that we know, and with others."""
    monkeypatch.setattr(versions, "KNOWN", request.param)
    value: bool = request.param
    return value


@pytest.fixture
def config() -> DictConfig:
    """The user's part, and a hydra node with interpolations into both."""
    hydra_node = OmegaConf.structured(HydraConf)
    hydra_node.job.name, hydra_node.sweep.subdir = "${hydra.sweep.dir}", "${seed}"
    return OmegaConf.create({"seed": 3, "name": "${hydra:job.name}", "hydra": hydra_node})


@pytest.fixture(autouse=True)
def _resolvers() -> None:
    utils.setup_globals()


def test_hydra_config_is_the_given_one_within_the_block(known: bool, config: DictConfig) -> None:
    config.hydra.sweep.dir = "there"
    before = HydraConfig.instance().cfg
    with as_hydra_config(config):
        assert HydraConfig.get().sweep.dir == current().hydra.sweep.dir == "there"
        assert HydraConfig.get().sweep.subdir == "3"
        assert config.name == "there"
    assert HydraConfig.instance().cfg is before
    with pytest.raises(ValueError, match="HydraConfig is not set, expected it to be within a job"):
        current()


@pytest.mark.parametrize(("status", "value"), [(JobStatus.COMPLETED, 3), (JobStatus.FAILED, ValueError("no"))])
def test_the_result_of_a_job_is_read_without_raising(
    known: bool, status: JobStatus, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    job_return = JobReturn(status=status)
    job_return.return_value = value
    assert result_of(job_return) is value
    assert capsys.readouterr().err == ""


def test_configs_are_copied_masked_and_written_as_omegaconf_does(known: bool, config: DictConfig) -> None:
    copied, masked = clone.clone(config), clone.only_hydra(config)
    assert copied == config
    assert copied.hydra is not config.hydra
    assert (list(masked), masked) == (["hydra"], OmegaConf.masked_copy(config, "hydra"))
    assert yaml.as_yaml(masked) == OmegaConf.to_yaml(masked)


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What speed_up_run_job replaces comes back after the test."""
    replaced = ((utils, "copy"), (utils, "_save_config"), (HydraConfig, "set_config"), (omegaconf.base, "parse"))
    for owner, name in replaced:
        monkeypatch.setattr(owner, name, getattr(owner, name))


@pytest.mark.usefixtures("restored")
def test_run_job_is_changed_in_versions_that_we_know(known: bool) -> None:
    before = (vars(utils)["copy"], vars(utils)["_save_config"], HydraConfig.set_config, vars(omegaconf.base)["parse"])
    run_job.speed_up_run_job()
    after = (vars(utils)["copy"], vars(utils)["_save_config"], HydraConfig.set_config, vars(omegaconf.base)["parse"])
    assert [new is not old for new, old in zip(after, before, strict=True)] == [known] * 4


@pytest.fixture
def initialized() -> Iterator[None]:
    with initialize(version_base="1.3", config_path=None, job_name="app"):
        yield


@pytest.mark.usefixtures("initialized")
def test_other_versions_compose_by_themselves_and_say_so(known: bool, caplog: pytest.LogCaptureFixture) -> None:
    loader = GlobalHydra.instance().config_loader()
    with caplog.at_level(logging.WARNING):
        found = config_loader.fast_loader(loader)
    assert (found is loader, bool(caplog.messages)) == (not known, not known)
    assert all("jobs are composed and started by slower public functions" in text for text in caplog.messages)
