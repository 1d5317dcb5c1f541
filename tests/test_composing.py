"""Fast composition equals Hydra's own: configs, flags, caches and errors."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import omegaconf.base
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core import utils
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from hydra.types import HydraContext, RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import MISSING, Container, DictConfig, ListConfig, OmegaConf

from fashion_sweep import app
from packed_jobs.hydra_internals import clone, config_loader, run_job, yaml

GROUPS = {path.name: sorted(f.stem for f in path.iterdir()) for path in sorted(app.CONF.iterdir()) if path.is_dir()}
CHOICES = [f"{group}={choice}" for group, choices in GROUPS.items() for choice in choices if group != "experiment"]


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoaderImpl]:
    with initialize_config_dir(str(app.CONF), version_base="1.3", job_name="composing"):
        found = GlobalHydra.instance().config_loader()
        assert isinstance(found, ConfigLoaderImpl)
        yield found


@pytest.fixture(scope="module")
def fast(loader: ConfigLoaderImpl) -> config_loader.FastConfigLoader:
    made = config_loader.fast_loader(loader)
    assert isinstance(made, config_loader.FastConfigLoader)
    return made


def everything(node: Any) -> Any:
    """All that can be seen of a node and what is below it: values, flags, types, keys."""
    meta = node._metadata
    seen = (type(node), node._get_flag("struct"), node._get_flag("readonly"), dict(meta.flags or {}), meta.object_type)
    content = node._content if isinstance(node, Container) else node._value()
    if isinstance(node, DictConfig) and isinstance(content, dict):
        content = [(key, everything(child)) for key, child in content.items()]
    elif isinstance(node, ListConfig) and isinstance(content, list):
        content = [everything(child) for child in content]
    return (*seen, meta.optional, str(meta.ref_type).replace("typing.Dict", "dict"), content)


def outcome(loader: ConfigLoaderImpl, lines: list[str]) -> Any:
    """The config that a loader makes, or its error with what caused it."""
    try:
        return everything(loader.load_configuration("config", list(lines), RunMode.RUN))
    except Exception as error:
        return [(type(each), str(each)) for each in (error, error.__cause__)]


def assert_equal(loader: ConfigLoaderImpl, fast: ConfigLoaderImpl, lines: list[str]) -> None:
    expected = outcome(loader, lines)
    assert outcome(fast, lines) == expected
    assert outcome(fast, lines) == expected  # from memory


@pytest.mark.parametrize("line", ["", *CHOICES, "+experiment=smoke", "experiment=smoke"])
def test_every_choice_is_composed_as_hydra_does(
    loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader, line: str
) -> None:
    lines = [line] if line else []
    assert_equal(loader, fast, lines)
    assert_equal(loader, fast, [*lines, "seed=3", "data.split_seed=7", "hydra.job.name=other"])


LINES = [
    *CHOICES[::4],
    "seed=1", "epochs=2", "batch_size=64", "save=both", "model.dropout=0.3", "model.dropout=1",
    "optimizer.learning_rate=0.1",
    "optimizer.momentum=0.9", "model.hidden_units=[3,4]", "model.hidden_units=[3]", "data.limit=null", "data.limit=100",
    "optimizer={learning_rate:0.5}", "model={_target_:a.b}", "+new=1", "+new={a:1}", "++new.b=2", "new.a=3", "++seed=4",
    "~save", "~model.dropout", "~seed=0", "~seed=5", "~callbacks", "~schedule", "+schedule.extra=1", "callbacks.x=1",
    "+callbacks.checkpoint.more=1", "seed=abc", "epochs=1.5", "model.dropout=x", "nothing=1", "model.nothing=1",
    "save=some", "optimizer=none_such", "data.path=a.npz", "seed=1,2", "a b", "seed=${epochs}", "epochs=${seed}",
    "trainer.jit_compile=true", "+model@other=cnn", "model@other=cnn", "hydra.job.name=n", "hydra.verbose=true",
    "hydra.sweep.dir=elsewhere", "hydra.sweep.subdir=${seed}", "hydra.sweep.subdir='a=1,b=2 c'", "hydra.sweep.subdir=",
    "hydra.sweep={subdir:other}", "~hydra.sweep.subdir", "+hydra.sweep.subdir=x", "++hydra.sweep.subdir=y",
    "hydra.sweep.subdir=[a]", "hydra.sweep.subdir={a:1}", "hydra.sweep.subdir@x=1", "hydra.sweep.nothing=1",
    "+hydra.job.env_set.A=1", "hydra.job.env_copy=[HOME]",
    "hydra.job.env_copy=[NO_SUCH_VARIABLE]", "hydra/job_logging=disabled", "hydra/job_logging=none_such",
    "hydra.job.config.override_dirname.exclude_keys=[seed]", "hydra.job.config.override_dirname.kv_sep=~",
    "hydra={verbose:true}", "+hydra_like=1", "hydra.searchpath=[pkg://none.such]", "hydra.overrides.task=[x]",
    "hydra.overrides.hydra=[x]",
    "+seed=1",
    "save=null", "model=null", "~model", "callbacks=[none,checkpoint]", "optimizer.learning_rate=1e-3", "save='none'",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:provider=hydra.searchpath")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_any_overrides_give_what_hydra_gives(
    loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader, lines: list[str]
) -> None:
    assert_equal(loader, fast, lines)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:provider=hydra.searchpath")
@pytest.mark.parametrize("line", LINES)
def test_any_override_gives_what_hydra_gives(
    loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader, line: str
) -> None:
    assert_equal(loader, fast, [line])
    assert_equal(loader, fast, [line, "seed=9", "optimizer=sgd"])


@pytest.mark.parametrize(
    "lines",
    [
        ["hydra={verbose:false}", "hydra.verbose=true"],
        ["optimizer.learning_rate=0.1", "optimizer={learning_rate:0.5}"],
        ["optimizer={learning_rate:0.5}", "optimizer.learning_rate=0.1"],
        ["~save", "+save=both"],
        ["save=none", "~save"],
        ["+new=1", "new=2"],
        ["hydra.sweep.subdir=a", "hydra.verbose=true", "hydra.sweep.subdir=b", "seed=1"],
        ["hydra.sweep.subdir=a", "hydra.sweep={subdir:b}"],
        ["hydra.sweep={subdir:b}", "hydra.sweep.subdir=a"],
        ["hydra.sweep.subdir=a", "~hydra.sweep.subdir", "+hydra.sweep.subdir=b"],
    ],
)
def test_the_last_of_several_counts_as_in_hydra(
    loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader, lines: list[str]
) -> None:
    assert_equal(loader, fast, lines)


def test_a_job_of_a_sweep_has_the_sweeps_clock(loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader) -> None:
    master = loader.load_configuration("config", ["hydra.sweep.dir=${now:%f}", "seed=1,2"], RunMode.MULTIRUN)
    clock = master.hydra.sweep.dir
    expected = loader.load_sweep_config(master, ["seed=1"])
    job = fast.load_sweep_config(master, ["seed=1"])
    assert everything(job) == everything(expected)
    assert job.hydra.sweep.dir == expected.hydra.sweep.dir == clock
    assert OmegaConf.get_cache(job) == OmegaConf.get_cache(expected)


def test_workers_get_hydras_own_loader(loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader) -> None:
    plain = config_loader.plain_loader(fast)
    assert type(plain) is ConfigLoaderImpl
    assert plain.get_search_path() == loader.get_search_path()
    assert config_loader.plain_loader(loader) is loader


def test_configs_are_copies(fast: config_loader.FastConfigLoader) -> None:
    first = fast.load_configuration("config", ["seed=1"], RunMode.RUN)
    first.model.dropout = 0.7
    second = fast.load_configuration("config", ["seed=2"], RunMode.RUN)
    assert (first.seed, second.seed, second.model.dropout) == (1, 2, 0.0)
    assert second.hydra.overrides.task == ["seed=2"]
    assert second.hydra.job.override_dirname == "seed=2"


def test_the_yaml_files_are_read_once(fast: config_loader.FastConfigLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["optimizer=nadam", "model=cnn"]
    fast.load_configuration("config", lines, RunMode.RUN)
    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", None)
    config = fast.load_configuration("config", [*lines, "model.dropout=0.2", "~save", "+new=1"], RunMode.RUN)
    assert (config.model.dropout, config.new, "save" in config) == (0.2, 1, False)


def test_the_yaml_files_are_read_once_for_jobs_with_folders_of_their_own(
    loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["hydra.sweep.subdir=${seed}", "hydra.verbose=true", "seed=1", "hydra.sweep.subdir='name=%d, x'"]
    expected = [loader.load_configuration("config", [*lines[:3], lines[3] % n], RunMode.RUN) for n in (1, 2)]
    fast.load_configuration("config", lines, RunMode.RUN)
    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", None)
    found = [fast.load_configuration("config", [*lines[:3], lines[3] % n], RunMode.RUN) for n in (1, 2)]
    assert [everything(config) for config in found] == [everything(config) for config in expected]
    assert found[1].hydra.sweep.subdir == "name=2, x"


def test_values_read_when_hydra_reads_them(
    fast: config_loader.FastConfigLoader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["hydra.job.env_copy=[FASHION]"]
    for value in ("1", "2"):
        monkeypatch.setenv("FASHION", value)
        config = fast.load_configuration("config", lines, RunMode.RUN)
        assert dict(config.hydra.job.env_set) == {"FASHION": value}
    monkeypatch.chdir(tmp_path)
    assert fast.load_configuration("config", lines, RunMode.RUN).hydra.runtime.cwd == str(tmp_path)


def test_multirun_configs_are_left_to_hydra(loader: ConfigLoaderImpl, fast: config_loader.FastConfigLoader) -> None:
    lines = ["seed=1,2", "hydra.mode=MULTIRUN"]
    expected = loader.load_configuration("config", lines, RunMode.MULTIRUN)
    assert everything(fast.load_configuration("config", lines, RunMode.MULTIRUN)) == everything(expected)


def test_compose_is_fast_where_it_is_asked_to_be(loader: ConfigLoaderImpl) -> None:
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    expected = compose("config", ["seed=5"], return_hydra_config=True)
    hydra.config_loader = config_loader.fast_loader(hydra.config_loader)
    try:
        assert isinstance(GlobalHydra.instance().config_loader(), config_loader.FastConfigLoader)
        assert everything(compose("config", ["seed=5"], return_hydra_config=True)) == everything(expected)
        with pytest.raises(ConfigCompositionException, match="Could not override 'none'"):
            compose("config", ["none=1"])
    finally:
        hydra.config_loader = loader


@pytest.mark.parametrize("line", ["seed=1", *CHOICES[::3]])
def test_a_lane_makes_of_configs_what_hydra_makes(
    loader: ConfigLoaderImpl, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = ["hydra.sweep.subdir=run", "hydra.verbose=[a]", "+hydra.job.env_set.B=c"]
    text = "+text='a long line, with: signs # and \u00e9 that goes on and on, so that it must be folded, or not'"
    config = loader.load_configuration("config", [line, text, *folders, "+number=1e-7", "+no='no'"], RunMode.RUN)
    seen = []
    for quick in (False, True):
        if quick:
            replaced = (
                (utils, "copy"),
                (utils, "_save_config"),
                (HydraConfig, "set_config"),
                (omegaconf.base, "parse"),
            )
            for owner, name in replaced:
                monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it comes back after the test
            run_job.speed_up_run_job()
        config.hydra.sweep.dir = str(tmp_path)
        mine = copy.deepcopy(config)
        held: list[Any] = []

        def look(job: DictConfig, held: list[Any] = held) -> None:
            held.extend([everything(job), everything(HydraConfig.instance().cfg)])

        ran = utils.run_job(
            look, mine, "hydra.sweep.dir", "hydra.sweep.subdir", HydraContext(loader, Callbacks()),
            configure_logging=False,
        )  # fmt: skip
        files = {path.name: path.read_text() for path in (tmp_path / "run" / ".hydra").iterdir()}
        seen.append((files, everything(ran.cfg), everything(ran.hydra_cfg), everything(mine), held))
    assert seen[0] == seen[1]
    assert sorted(seen[0][0]) == ["config.yaml", "hydra.yaml", "overrides.yaml"]


class Colour(enum.Enum):
    RED = 1


@dataclass
class Typed:
    """Values that only a schema can hold."""

    either: int | str = 3
    colour: Colour = Colour.RED
    by_colour: dict[Colour, int] = field(default_factory=lambda: {Colour.RED: 2})
    none: dict[str, int] | None = None
    missing: list[int] = MISSING


LONG = "a long line: with signs # and \u00e9, and words enough that it is folded, or not, wherever it is, twice"


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "true", None, "???", "${hydra.a}", "a\nb", " c ", "", 1e-7, LONG])
def test_yaml_is_that_of_omegaconf(value: Any) -> None:
    deep = {"k": {"l": [value, {"m": value}]}}
    nested = {"x": value, LONG: {"k": value}, LONG * 2: deep, "\u00e9 {}": deep, "l": [], "d": {}, 7: value}
    typed = OmegaConf.structured(Typed)
    for content in (nested, {"job": nested, "runtime": {"deep": {"deeper": nested}}, "typed": typed}, {}, value):
        for config in (OmegaConf.create({"hydra": content}), OmegaConf.create({"hydra": content, "other": 1})):
            assert yaml.as_yaml(config) == OmegaConf.to_yaml(config)
    assert yaml.as_yaml(OmegaConf.create([value])) == OmegaConf.to_yaml(OmegaConf.create([value]))


def test_a_clone_is_a_copy_of_its_own(fast: config_loader.FastConfigLoader) -> None:
    value = object()
    config = OmegaConf.create({"a": {"b": [1, {"c": 2}]}, "d": "${a.b}", "n": None}, flags={"allow_objects": True})
    config.o = value
    new = clone.clone(config)
    assert everything(new) == everything(copy.deepcopy(config))
    OmegaConf.set_readonly(config.a, True)
    new.a.b[1].c = 3
    assert (config.a.b[1].c, new.d[1].c, new.o is value) == (2, 3, True)
