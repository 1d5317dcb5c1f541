"""From a composed config to the spec of a run: its values, its identity and its folder, each worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fashion_sweep.config import constraints
from fashion_sweep.config.redaction import Redaction, redacted_errors, resolve
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading
from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import hydra_errors, validation
from fashion_sweep.storage.identity import DIGITS, NOT_IN_IDENTITY, identity, run_name
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import process
from fashion_sweep.training.trainer import trainer_of
from packed_jobs.hydra_internals.session import as_job, task_overrides

SUBDIR = "hydra.sweep.subdir"
"""The key of the name of a run's folder in its sweep."""
RUN_FOLDER = "<run folder>"
"""Stands for the run's folder in values until its identity is known, which the folder's name depends on."""
RUN_NAME = "<run name>"
"""Stands for ``${run_name:}`` in the same way."""

_settling: ContextVar[bool] = ContextVar("settling", default=False)


def register_resolvers() -> None:
    """Make ``${run_name:}``, the name of a run's folder in its sweep, known to OmegaConf."""
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def _run_name(*, _root_: DictConfig) -> str:
    """What ``${run_name:}`` is: a mark while a spec is made; else the name, for sweepers that choose runs late."""
    if _settling.get() or "trainer" not in _root_:  # Hydra's node alone is shown by --cfg hydra
        return RUN_NAME
    with _marks():
        folder = Path(str(_root_.hydra.sweep.dir))
    settled = settle(_root_)
    return free_place([folder / name for name in _names(settled, ())], settled.identity).name


@dataclass(frozen=True)
class Settled:
    """The values of a composed config, before they have a folder."""

    config: dict[str, Any]  # resolved, as the trainer uses it; may hold RUN_FOLDER and RUN_NAME
    hidden: Redaction
    choices: dict[str, str]
    overrides: list[str]
    identity: str
    data: str  # the dataset's fingerprint
    place: str  # the run's folder, with RUN_NAME where its name depends on the identity
    number: int  # hydra.job.num
    cwd: Path  # the folder of the command


def settle(
    config: DictConfig, *, is_sweep: bool = True, is_known: Callable[[Settled], bool] = lambda _settled: False
) -> Settled:
    """Resolve and check a composed config, hydra node included. Raises ConfigError or DataError for what is wrong.

    What a trainer leaves to this machine, as ``trainer.engine=auto`` does, is settled and written into the config.
    is_known: whether there is such a run already, which then stays as it is.
    """
    with as_job(config, RUN_FOLDER), _marks():
        values, hidden = resolve(config)
        place = str(config.hydra.sweep.subdir if is_sweep else config.hydra.run.dir)
        with redacted_errors(hidden):
            validation.check(config, values)
            every = list(_variants(config, values, hidden, place))
            settled = next(filter(is_known, every), every[0])
            trainer_of(settled.config).check(settled.config, loading.load(settled.config["data"]))
    _write(settled.config["trainer"], values["trainer"], config.trainer)
    return settled


def _variants(config: DictConfig, values: Mapping[str, Any], hidden: Redaction, place: str) -> Iterator[Settled]:
    """The runs that the values may stand for, the best one for this machine first."""
    trainer = trainer_of(values)
    used = {key: value for key, value in values.items() if key not in trainer.unused_keys}
    choices = {key: name for key, name in group_choices(config.hydra).items() if key not in trainer.unused_keys}
    nodes = trainer.variants(used)
    with process.first_import(trainer_of({"trainer": nodes[0]}).environment):  # a dataset's function may import Keras
        data = loading.load(used["data"]).fingerprint
    number, cwd = int(OmegaConf.select(config, "hydra.job.num", default=0)), Path(str(config.hydra.runtime.cwd))
    for node in nodes:
        run = {**used, "trainer": dict(node)}
        yield Settled(run, hidden, choices, task_overrides(config.hydra), identity(run, data), data, place, number, cwd)


def _write(node: Mapping[str, Any], before: Mapping[str, Any], config: DictConfig) -> None:
    """Set the keys of a config's node whose values are not as before."""
    with read_write(config):
        for key in [key for key in node if node[key] != before[key]]:
            config[key] = node[key]


def resolved(config: DictConfig) -> dict[str, Any]:
    """A composed config as plain values, without Hydra's node and the keys that its trainer does not use, and with what
    is best on this machine where the trainer leaves it open.
    """
    values, _ = resolve(config)
    trainer = trainer_of(values)
    values["trainer"] = dict(trainer.variants(values)[0])
    return {key: value for key, value in values.items() if key not in trainer.unused_keys}


def identity_of(config: Mapping[str, Any]) -> str:
    """The identity of the run that a resolved config trains. Raises DataError where the dataset cannot be loaded."""
    return identity(config, loading.load(config["data"]).fingerprint)


def group_choices(hydra: DictConfig) -> dict[str, str]:
    """Config group -> choice, without Hydra's own groups and without choices that are null."""
    chosen = {str(key): value for key, value in hydra.runtime.choices.items()}
    return {key: str(value) for key, value in chosen.items() if value is not None and not key.startswith("hydra/")}


@dataclass
class SweepFolders:
    """Gives the runs of a sweep their folders. A run that has one already, however it was asked for, keeps it."""

    folder: Path  # of the sweep
    swept: Sequence[str] = ()  # keys with several values, which lead a name
    existing: Mapping[str, str] = field(init=False)  # identity -> name
    _taken: dict[str, str] = field(init=False)  # name -> identity

    def __post_init__(self) -> None:
        self.existing = SweepDir(self.folder).names_by_identity()
        self._taken = {name: identity for identity, name in self.existing.items()}

    def has(self, settled: Settled) -> bool:
        """Whether the sweep has the run already."""
        return settled.identity in self.existing

    def name(self, settled: Settled) -> str:
        """The name of a run's folder. Raises ConfigError for one that leads elsewhere or that another run has."""
        known = self.existing.get(settled.identity)
        names = [known] if known else places(settled, self.swept)
        free = [name for name in names if self._taken.get(name, settled.identity) == settled.identity]
        name = (free or names)[0]
        if not SweepDir.is_run_name(name):
            raise ConfigError(f"hydra.sweep.subdir is {name!r}, expected a plain name for a new folder in the sweep's")
        if self._taken.setdefault(name, settled.identity) != settled.identity:
            raise ConfigError(
                f"{self.folder / name} belongs to another run; "
                f"give a hydra.sweep.subdir that differs from run to run, or another hydra.sweep.dir"
            )
        return name


def places(settled: Settled, swept: Sequence[str] = ()) -> list[str]:
    """The run's folder with its name in the place of RUN_NAME: with the usual digits, then with more and more."""
    return list(dict.fromkeys(settled.place.replace(RUN_NAME, name) for name in _names(settled, swept)))


def is_placed(settled: Settled) -> bool:
    """Whether the run without a sweep is in its folder already. Raises UnreadableError."""
    records = (RunDir(Path(place)).record_before() for place in places(settled))
    return any(record is not None and record.identity == settled.identity for record in records)


def free_place(folders: Sequence[Path], identity: str) -> Path:
    """The first folder that is not another run's; the first one where all are. Raises UnreadableError."""
    for folder in folders:
        record = RunDir(folder).record_before()
        if record is None or record.identity == identity:
            return folder
    return folders[0]


def subdir_override(name: str) -> str:
    """The override that gives a job of a sweep its folder."""
    return f"{SUBDIR}={hydra_errors.quoted(name)}"


def spec_of(settled: Settled, folder: Path) -> RunSpec:
    """The spec of a run that has got its folder."""
    absolute = folder.absolute()
    marks = {RUN_FOLDER: str(absolute), RUN_NAME: absolute.name}
    return RunSpec(
        absolute, _filled(settled.config, marks), settled.choices, settled.overrides, settled.identity,
        hidden=settled.hidden, data=settled.data, number=settled.number, cwd=settled.cwd,
    )  # fmt: skip


def spec_in_job(config: DictConfig, hydra: DictConfig) -> RunSpec:
    """The spec of a run that was not planned, made in its job.

    config: what the task function gets; hydra: what HydraConfig.get() gives, with the folder of the run.
    Raises ConfigError or DataError for what is wrong with it.
    """
    whole = config.copy()
    with open_dict(whole):
        whole.hydra = hydra.copy()
    OmegaConf.set_readonly(whole.hydra, False)
    return spec_of(settle(whole), Path(str(hydra.runtime.output_dir)))


def _names(settled: Settled, swept: Sequence[str]) -> list[str]:
    """A legible name, with more and more digits: of the swept keys, or of all that were given where none is used.

    Choices come first, then values, each sorted, so that the order of overrides changes no name.
    """
    given = [line.lstrip("+~").partition("=")[0].partition("@")[0] for line in settled.overrides]
    keys = _used(settled, swept) or _used(settled, given)
    shown = settled.hidden.in_config(settled.config)
    values = {key: settled.choices.get(key, constraints.lookup(shown, key)) for key in keys}
    return [run_name(values, settled.identity, digits) for digits in DIGITS]


def _used(settled: Settled, keys: Sequence[str]) -> list[str]:
    used = {key for key in keys if key in settled.choices or key.partition(".")[0] in settled.config}
    return sorted(used - set(NOT_IN_IDENTITY), key=lambda key: ("." in key, key))


def _filled(value: Any, marks: Mapping[str, str]) -> Any:
    """The value with the marks in its texts replaced."""
    if isinstance(value, str):
        for mark, text in marks.items():
            value = value.replace(mark, text)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(item, marks) for key, item in value.items()}
    return [_filled(item, marks) for item in value] if isinstance(value, list) else value


@contextmanager
def _marks() -> Iterator[None]:
    token = _settling.set(True)
    try:
        yield
    finally:
        _settling.reset(token)
