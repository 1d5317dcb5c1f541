"""The command line: compose, check, train, report.

The main path of a command: ``main`` plans and checks all runs, hands them to Hydra, which calls ``Task`` for each, and
ends with the report. Nothing here imports TensorFlow before the first run starts.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
import numpy as np
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fashion_sweep import data, plan, progress, schema
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.run_dir import RunDir, Status, SweepDir, replacing, write_text
from fashion_sweep.task import Task

CONF = next(p for p in (Path(__file__).parent / "conf", Path(__file__).parents[1] / "conf") if p.is_dir())
"""The config groups: inside the package in a wheel, at the top of a checkout."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: runs end as they do on Ctrl-C."""


def _run_name(*, _root_: DictConfig) -> str:
    """The resolver behind hydra.sweep.subdir: the name of the run's folder in its sweep."""
    hydra_node = _root_.hydra
    overrides = [str(line) for line in hydra_node.overrides.task]
    return plan.name_and_identity(plan.resolved(_root_), plan.group_choices(hydra_node), overrides)[0]


schema.register()
OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


run = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(Task())


def main() -> NoReturn:
    """Run the command line of this process and exit: 0 every run completed, 1 some run did not, 2 nothing was trained
    because the command or the config is wrong, 130 and 143 interrupted by SIGINT and SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    arguments = get_args_parser().parse_args()
    try:
        sys.exit(_show() if _only_shows(arguments) else _train(arguments))
    except UserError as error:
        _say_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(_interrupted(interruption))


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
    with _log_on_stderr():
        planned = plan.make_plan(
            CONF if arguments.config_path is None else Path(arguments.config_path).absolute(),
            arguments.overrides,
            config_name=arguments.config_name or "config",
            extra_conf=arguments.config_dir,
            multirun=arguments.multirun,
        )
    runs = _open_folder(planned)
    console = Console()
    if planned.is_sweep:
        _write_plan(planned, shlex.join(["python", "-m", "fashion_sweep", *sys.argv[1:]]))
    try:
        with progress.shown(runs, console):
            code = _hydra(arguments, planned)
    except KeyboardInterrupt as interruption:
        code = _interrupted(interruption)
    return max(code, _conclude(planned, console))


def _open_folder(planned: plan.Plan) -> dict[RunDir, int]:
    """Make the folder. Returns the folders of the planned runs, each with the number of epochs that it may have.

    Raises FolderError where it cannot be written, and for a single run's folder that holds another run.
    """
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        key = "hydra.sweep.dir" if planned.is_sweep else "hydra.run.dir"
        raise FolderError(f"{planned.folder} cannot be made ({error.strerror}); give another {key}") from error
    epochs = [point.config["epochs"] for point in planned.points]
    if planned.is_sweep:
        names = [point.planned().run for point in planned.points]
        return {RunDir(planned.folder / name): count for name, count in zip(names, epochs, strict=True)}
    run_dir = RunDir(planned.folder)
    record = run_dir.read_record()
    if record is not None and record.identity != planned.points[0].planned().identity:
        raise FolderError(f"{planned.folder} holds another run; give another hydra.run.dir")
    return {run_dir: epochs[0]}


def _write_plan(planned: plan.Plan, command: str) -> None:
    """Write down what the sweep will train, and ten images of its dataset for the report."""
    sweep = SweepDir(planned.folder)
    runs = {run.run: run for run in (point.planned() for point in planned.points)}
    sweep.write_plan(command, list(runs.values()))
    for point in planned.points[:1]:
        dataset = data.load(point.config["data"])
        images, labels = data.samples(dataset)
        with replacing(sweep.samples) as path:
            np.savez(path, images=images, labels=labels, class_names=np.array(dataset.class_names))


def _hydra(arguments: argparse.Namespace, planned: plan.Plan) -> int:
    """Hand the command line, with the folder settled, to Hydra, which composes, launches and calls ``run``."""
    options = {"--config-path": arguments.config_path, "--config-name": arguments.config_name}
    options |= {"--config-dir": arguments.config_dir}
    given = [word for flag, value in options.items() if value is not None for word in (flag, value)]
    sys.argv = [sys.argv[0], *(["--multirun"] if planned.is_sweep else []), *given, *planned.arguments]
    try:
        run()
    except SystemExit as stopped:  # Hydra has printed why
        return 1 if stopped.code else 0
    return 0


def _conclude(planned: plan.Plan, console: Console) -> int:
    """Report what has become of the runs. Returns 0 where every one completed, 1 where not."""
    if planned.is_sweep:
        return _report(planned.folder, console)
    record = RunDir(planned.folder).read_record()
    console.print(f"Folder: {_short(planned.folder)}", markup=False, highlight=False, soft_wrap=True)
    return 0 if record is not None and record.status is Status.COMPLETED else 1


def _report(folder: Path, console: Console) -> int:
    from fashion_sweep.analysis import report

    try:
        written = report.write_report([folder])
    except Exception as error:
        log = SweepDir(folder).report_error
        write_text(log, traceback.format_exc())
        _say_error(
            f"the report failed ({type(error).__name__}: {error}); the runs are whole, the traceback is in {log}"
        )
        return 1
    report.print_table(written, console)
    return 0 if (written.table["status"] == Status.COMPLETED.value).all() else 1


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


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _interrupted(interruption: KeyboardInterrupt) -> int:
    return 143 if isinstance(interruption, Terminated) else 130


def _say_error(text: str) -> None:
    print(f"fashion-sweep: {text}", file=sys.stderr)
