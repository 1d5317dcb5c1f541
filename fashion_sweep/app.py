"""The command line: compose, check, train, report.

The main path of a command: ``main`` plans and checks all runs, hands them to Hydra, which calls ``Task`` for each, and
ends with the report. Nothing here imports TensorFlow before the first run starts.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from fashion_sweep.cli import model_summary, preview, progress, signals
from fashion_sweep.cli.conclude import conclude, import_report
from fashion_sweep.cli.logs import log_on_stderr, say_error
from fashion_sweep.config import schema
from fashion_sweep.config.redaction import Redaction
from fashion_sweep.errors import UserError
from fashion_sweep.planning import plan, resume, run_spec
from fashion_sweep.planning.request import Request
from fashion_sweep.planning.sweep_folder import keep, make_folder
from fashion_sweep.storage import code_snapshot
from fashion_sweep.storage.lease import owned, written_into
from fashion_sweep.storage.provenance import Code, git_state
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.task import Task

CONF = next(p for p in (Path(__file__).parent / "conf", Path(__file__).parents[1] / "conf") if p.is_dir())
"""The config groups: inside the package in a wheel, at the top of a checkout."""


def _run_name(*, _root_: DictConfig) -> str:
    """The resolver behind hydra.sweep.subdir: the name of the run's folder in its sweep."""
    hydra_node = _root_.hydra
    overrides = [str(line) for line in hydra_node.overrides.task]
    folder, config = Path(str(hydra_node.sweep.dir)), run_spec.resolved(_root_)
    choices, hidden = run_spec.group_choices(hydra_node, config), Redaction.of(_root_)
    return run_spec.name_and_identity(folder, config, choices, overrides, hidden)[0]


schema.register()
OmegaConf.register_new_resolver("run_name", _run_name, replace=True)

task = Task()
run = hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)


def main() -> NoReturn:
    """Run the command line of this process and exit: 0 every run completed, 1 some run did not, 2 nothing was trained
    because the command or the config is wrong, 130 and 143 interrupted by SIGINT and SIGTERM.
    """
    signal.signal(signal.SIGTERM, signals.terminate)
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no news for the terminal
    arguments = get_args_parser().parse_args()
    try:
        sys.exit(_show() if _only_shows(arguments) else _train(arguments))
    except UserError as error:
        say_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(signals.exit_code(interruption))


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
    command = Request.typed(arguments, CONF)
    with log_on_stderr():
        planned = plan.make_plan(command)
    if planned.only_shows:
        preview.show(planned, Console())
        return 0
    if planned.only_summarizes:
        model_summary.show(planned)
        return 0
    make_folder(planned)
    with owned(planned.folder):
        return _train_owned(command, planned)


def _train_owned(command: Request, planned: plan.Plan) -> int:
    """Train what is due in a folder that this process owns, and report. Returns the exit code."""
    console, code, deadline = Console(), 0, None
    sources = code_snapshot.source_files(point.config for point in planned.runs)
    task.code = Code(git_state(), code_snapshot.fingerprint(sources))
    if planned.is_sweep:
        with written_into(planned.folder):
            command = keep(command, planned, sources)
        task.import_path = [str(SweepDir(planned.folder).code.absolute())]
    due = resume.take_over(planned, task.code, console)
    task.due = {tuple(point.overrides) for point in due}
    task.trainers = sorted({str(point.config["trainer"]["_target_"]) for point in due})
    epochs = {planned.run_dir(point): int(point.config.get("epochs", 1)) for point in planned.runs}
    try:
        with progress.shown(epochs, console, epochs.keys() - set(map(planned.run_dir, due))):
            if due and planned.has_lanes:
                import_report()
            code = _hydra(command, planned) if due or not planned.points else 0
    except KeyboardInterrupt as interruption:
        code, deadline = signals.exit_code(interruption), getattr(interruption, "deadline", None)
    resume.mark_lost(planned)
    with signals.by(deadline):
        return max(code, conclude(planned, console, code))


def _hydra(command: Request, planned: plan.Plan) -> int:
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
