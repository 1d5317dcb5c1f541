"""The plan of a command line composes what plain Hydra composes for the same words, and does so once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import planning
import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optional import present

from fashion_sweep import app
from fashion_sweep.planning import plan, run_spec
from fashion_sweep.planning.request import Request
from fashion_sweep.storage.provenance import Code
from fashion_sweep.task import Task
from fashion_sweep.training.engines.choice import best_first
from packed_jobs import compose
from packed_jobs.hydra_internals import session
from packed_jobs.hydra_internals.config_loader import FastConfigLoader

DATA = ("data=synthetic", "data.samples=100", "data.image_size=4")
LINES = [
    (),
    ("seed=3", "optimizer=sgd", "optimizer.learning_rate=0.5"),
    ("-m", "optimizer=sgd,adam", "model.dropout=0,0.3"),
    ("-m", "optimizer=glob(sgd*)"),
    ("-m", "seed=range(3)", "model.hidden_units=[8],[8,4]"),
    ("-m", "model=mlp,softmax,logistic"),
    ("-m", "experiment=smoke", "data=synthetic"),
    ("-m", "experiment=smoke", "optimizer=nadam", "epochs=1"),
    ("-m", "experiment=notes_optimizers", "seed=0,1"),
    ("hydra.mode=MULTIRUN", "seed=0,1"),
    ("-m", "+note=${hydra:job.num}", "seed=0,1"),
    ("+note=${hydra:runtime.choices.optimizer}", "+cwd=${hydra:runtime.cwd}"),
    ("+note='a, b=c'", '+other="it\'s"', "+list=[1,two,3.0]", "+node={a: 1, b: {c: x}}"),
    ("-m", "+note=a,'b,c',\"d\"", "seed=1"),
    ("-m", "seed=shuffle(range(1,4))", "seed=1,2"),
    ("-m", "model.dropout=choice(0.1,0.2)", "batch_size=tag(x, choice(16,32))"),
    ("~schedule", "+schedule=cosine"),
    ("callbacks=checkpoint_early_stopping", "callbacks.checkpoint.monitor=val_accuracy"),
    ("--config-dir", "CONF", "optimizer=mine"),
    ("--config-dir", "CONF", "--config-name", "mine"),
    ("--config-dir", "CONF", "hydra.searchpath=[file://MORE]", "optimizer=other"),
    ("-m", "hydra.searchpath=[file://MORE]", "optimizer=other,adam", "seed=0,1"),
    ("+hydra.job.env_set.FLAVOUR=sweet", "+note=${oc.env:FLAVOUR}"),
]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Folders of config groups of one's own, by the words that stand for them in LINES."""
    for name, choice in (("CONF", "mine"), ("MORE", "other")):
        (tmp_path / name / "optimizer").mkdir(parents=True)
        node = "_target_: keras.optimizers.Lion\nlearning_rate: 0.125\n"
        (tmp_path / name / "optimizer" / f"{choice}.yaml").write_text(node)
    (tmp_path / "CONF" / "mine.yaml").write_text("defaults:\n  - config\n  - _self_\nepochs: 2\n")
    monkeypatch.chdir(tmp_path)
    return {name: str(tmp_path / name) for name in ("CONF", "MORE")}


def words(line: tuple[str, ...], folders: dict[str, str]) -> list[str]:
    given = list(line)
    for name, folder in folders.items():
        given = [folder if word == name else word.replace(f"file://{name}", f"file://{folder}") for word in given]
    has_data = any(word.startswith(("data=", "experiment=smoke")) for word in given)
    return [*given, *(DATA[1:] if has_data else DATA)]


def by_hydra(given: list[str], folder: Path) -> list[tuple[dict[str, Any], list[str]]]:
    """Config and overrides of every job, as plain Hydra runs it."""
    jobs: list[tuple[dict[str, Any], list[str]]] = []

    def note(config: DictConfig) -> None:
        plain = {str(key): OmegaConf.to_container(config, resolve=True, enum_to_str=True)[key] for key in config}  # type: ignore[index]
        jobs.append((plain, OmegaConf.to_container(HydraConfig.get().overrides.task)))  # type: ignore[arg-type]

    places = [f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=${hydra.job.num}", f"hydra.run.dir={folder}"]
    plainly = ["hydra/launcher=basic", "hydra/sweeper=basic", "hydra/job_logging=none", "hydra/hydra_logging=none"]
    parser = get_args_parser()
    _run_hydra(parser.parse_args([*given, *plainly, *places]), parser, note, str(app.CONF), "config")
    return jobs


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_the_plan_is_what_hydra_composes(line: tuple[str, ...], folders: dict[str, str], tmp_path: Path) -> None:
    given = words(line, folders)
    expected = by_hydra(given, tmp_path / "hydra")
    planned = planning.planned(Request.typed(get_args_parser().parse_args(given), app.CONF))
    assert [spec.overrides for spec in planned.specs] == [overrides for _, overrides in expected]
    assert [spec.number for spec in planned.specs] == list(range(len(expected))) if planned.is_sweep else [0]
    for spec, (config, _) in zip(planned.specs, expected, strict=True):
        if config["trainer"].get("engine") == "auto":
            config["trainer"]["engine"] = best_first()[0]
        assert spec.config == {key: config[key] for key in spec.config}
        unused = config.keys() - spec.config.keys()
        assert not unused or spec.choices["model"] == "logistic"


def test_a_point_is_composed_resolved_and_hashed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counts = dict.fromkeys(("compose", "resolve", "identity"), 0)

    def count(what: str, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            counts[what] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    count("compose", FastConfigLoader, "load_sweep_config")
    count("resolve", run_spec, "resolve")
    count("identity", run_spec, "identity")
    request = Request(
        [*DATA, "trainer.engine=tensorflow", "seed=range(5)", f"hydra.sweep.dir={tmp_path}"],
        app.CONF,
        "config",
        None,
        True,
    )
    with session.opened(app.CONF, None, app.NAME, request.started) as hydra:
        planned = plan.make_plan(hydra, request)
        task = Task(planned.specs, Code(), request.started)
        context = HydraContext(hydra.loader, Callbacks(planned.config))
        jobs = compose.plan(context, planned.config, present(task.jobs()), 0, task)
    assert counts == dict.fromkeys(counts, 5)
    assert [job.pickled.load_payload().identity for job in jobs] == [spec.identity for spec in planned.specs]
