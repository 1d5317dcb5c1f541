"""The command line: compose, check, train, report.

The main path of a command: ``main`` plans and checks all runs, hands them to Hydra, which calls ``Task`` for each, and
ends with the report. Nothing here imports TensorFlow before the first run starts.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import logging
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import hydra
import numpy as np
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fashion_sweep import data, ending, explain, plan, preview, progress, schema, snapshot, standing, summary
from fashion_sweep.command import Command
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.ownership import owned, written_into
from fashion_sweep.provenance import Code, git_state
from fashion_sweep.redaction import Redaction
from fashion_sweep.run_dir import RunDir, Status, replacing, write_text
from fashion_sweep.sweep_dir import SweepDir
from fashion_sweep.task import Task

CONF = next(p for p in (Path(__file__).parent / "conf", Path(__file__).parents[1] / "conf") if p.is_dir())
"""The config groups: inside the package in a wheel, at the top of a checkout."""


def _run_name(*, _root_: DictConfig) -> str:
    """The resolver behind hydra.sweep.subdir: the name of the run's folder in its sweep."""
    hydra_node = _root_.hydra
    overrides = [str(line) for line in hydra_node.overrides.task]
    folder, config = Path(str(hydra_node.sweep.dir)), plan.resolved(_root_)
    choices, hidden = plan.group_choices(hydra_node, config), Redaction.of(_root_)
    return plan.name_and_identity(folder, config, choices, overrides, hidden)[0]


schema.register()
OmegaConf.register_new_resolver("run_name", _run_name, replace=True)

task = Task()
run = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)


def main() -> NoReturn:
    """Run the command line of this process and exit: 0 every run completed, 1 some run did not, 2 nothing was trained
    because the command or the config is wrong, 130 and 143 interrupted by SIGINT and SIGTERM.
    """
    signal.signal(signal.SIGTERM, ending.terminate)
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no news for the terminal
    arguments = get_args_parser().parse_args()
    try:
        sys.exit(_show() if _only_shows(arguments) else _train(arguments))
    except UserError as error:
        _say_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(ending.exit_code(interruption))


def _only_shows(arguments: argparse.Namespace) -> bool:
    """Whether the command line asks Hydra for help or information instead of training."""
    flags = ("help", "hydra_help", "cfg", "info", "shell_completion", "experimental_rerun")
    return any(getattr(arguments, flag) for flag in flags)


def _show() -> int:
    try:
        run()
    except SystemExit as stopped:  # with 1 where the config cannot be composed
        return 2 if stopped.code else 0
    return 0


def _train(arguments: argparse.Namespace) -> int:
    """Plan, train and report. Returns the exit code; raises UserError where nothing was trained."""
    command = Command.typed(arguments, CONF)
    with _log_on_stderr():
        planned = plan.make_plan(command)
    if planned.only_shows:
        preview.show(planned, Console())
        return 0
    if planned.only_summarizes:
        summary.show(planned)
        return 0
    _make_folder(planned)
    with owned(planned.folder):
        return _train_owned(command, planned)


def _train_owned(command: Command, planned: plan.Plan) -> int:
    """Train what is due in a folder that this process owns, and report. Returns the exit code."""
    console, code, deadline = Console(), 0, None
    sources = snapshot.source_files(point.config for point in planned.runs)
    task.code = Code(git_state(), snapshot.fingerprint(sources))
    if planned.is_sweep:
        with written_into(planned.folder):
            command = _keep(command, planned, sources)
    due = standing.take_over(planned, task.code, console)
    task.due = {tuple(point.overrides) for point in due}
    task.trainers = sorted({str(point.config["trainer"]["_target_"]) for point in due})
    epochs = {planned.run_dir(point): int(point.config.get("epochs", 1)) for point in planned.runs}
    try:
        with progress.shown(epochs, console, epochs.keys() - set(map(planned.run_dir, due))):
            if due and planned.has_lanes:
                _import_report()
            code = _hydra(command, planned) if due or not planned.points else 0
    except KeyboardInterrupt as interruption:
        code, deadline = ending.exit_code(interruption), getattr(interruption, "deadline", None)
    standing.settle(planned)
    with ending.by(deadline):
        return max(code, _conclude(planned, console, code))


def _make_folder(planned: plan.Plan) -> None:
    """Raises FolderError where the folder cannot be made, and for a single run's folder that holds another run."""
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        key = "hydra.sweep.dir" if planned.is_sweep else "hydra.run.dir"
        raise FolderError(f"{planned.folder} cannot be made ({error.strerror}); give another {key}") from error
    record = None if planned.is_sweep else RunDir(planned.folder).read_record()
    if record is not None and record.identity != planned.points[0].identity:
        raise FolderError(f"{planned.folder} holds another run; give another hydra.run.dir")


def _keep(command: Command, planned: plan.Plan, sources: Mapping[str, Path]) -> Command:
    """Keep in the sweep's folder what it will train, from which code and configs, and ten images for the report.

    Returns the command with the configs that are kept: those that Hydra composes the runs from.
    """
    sweep = SweepDir(planned.folder)
    sweep.write_plan(command.text, [point.planned() for point in planned.runs], command.request())
    folders = {sweep.configs.name: command.conf, sweep.extra_configs.name: command.extra_conf}
    snapshot.keep(sweep.code, sources, {name: folder for name, folder in folders.items() if folder})
    task.import_path = [str(sweep.code.absolute())]
    for point in planned.points[:1]:
        dataset = data.load(point.config["data"])
        images, labels = data.samples(dataset)
        with replacing(sweep.samples) as path:
            np.savez(path, images=images, labels=labels, class_names=np.array(dataset.class_names))
    extra = sweep.extra_configs if command.extra_conf else None
    return dataclasses.replace(command, conf=sweep.configs, extra_conf=extra)


def _hydra(command: Command, planned: plan.Plan) -> int:
    """Hand the command, with the folder settled, to Hydra, which composes, launches and calls ``task``."""
    places = {"--config-path": command.conf, "--config-dir": command.extra_conf}
    given = [str(word) for flag, place in places.items() if place for word in (flag, place.absolute())]
    flags = ["--multirun"] if planned.is_sweep else []
    sys.argv = [sys.argv[0], *flags, *given, "--config-name", command.config_name, *planned.arguments]
    try:
        run()
    except SystemExit as stopped:  # Hydra has printed why
        return 1 if stopped.code else 0
    return 0


def _conclude(planned: plan.Plan, console: Console, code: int) -> int:
    """Report what has become of the runs. Returns 0 where every one completed, 1 where not."""
    folder = _short(planned.folder)
    if planned.is_sweep:
        concluded = _report(planned.folder, console)
    else:
        record = RunDir(planned.folder).read_record()
        console.print(f"Folder: {folder}", markup=False, highlight=False, soft_wrap=True)
        concluded = 0 if record is not None and record.status is Status.COMPLETED else 1
    if code >= ending.INTERRUPTED:
        line = shlex.join(["python", "-m", "fashion_sweep", f"resume={explain.argument(str(folder))}"])
        console.print(f"Resume: {line}", markup=False, highlight=False, soft_wrap=True)
    return concluded


def _import_report() -> None:
    """Import in another thread what the report needs, which takes a second, while other processes train."""

    def work() -> None:
        with suppress(Exception):  # whatever it is, the report will meet it again and say so
            importlib.import_module("fashion_sweep.analysis.page")

    threading.Thread(target=work, daemon=True).start()


def _report(folder: Path, console: Console) -> int:
    from fashion_sweep.analysis import report

    try:
        written = report.write_report([folder])
    except ending.NoTimeError:
        _say_error(f"there was no time for the report; write it with: python scripts/report.py {folder}")
        return 1
    except Exception as error:
        _say_error(f"the report failed ({_told(error)}); the runs are whole{_traceback_kept(folder)}")
        return 1
    report.print_table(written, console)
    return 0 if (written.table["status"] == Status.COMPLETED.value).all() else 1


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _traceback_kept(folder: Path) -> str:
    """Keep the traceback of what is being handled in a sweep's folder, and say where; nothing on a full disk."""
    log = SweepDir(folder).report_error
    try:
        write_text(log, traceback.format_exc())
    except OSError:
        return ""
    return f", the traceback is in {log}"


def _short(path: Path) -> Path:
    """The path as seen from the current folder, where it lies in it."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Within the block, what our modules log (a dataset being fetched) is seen on the terminal."""
    logger, handler = logging.getLogger("fashion_sweep"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _say_error(text: str) -> None:
    print(f"fashion-sweep: {text}", file=sys.stderr)
