"""The command line: compose, check, train, report.

The main path of a command: ``main`` plans and checks all runs, hands them to Hydra, which calls ``Task`` for each, and
ends with the report. Nothing here imports TensorFlow before the first run starts.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from hydra.errors import CompactHydraException
from rich.console import Console

from fashion_sweep.cli import model_summary, preview, progress, signals
from fashion_sweep.cli.conclude import conclude, import_report, say_resume, say_submitted
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import keep_traceback, log_on_stderr, say_error
from fashion_sweep.config import schema, shipped
from fashion_sweep.config.redaction import Redaction, redacted_logs
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.planning import hydra_errors, resume, run_spec
from fashion_sweep.planning.estimate import estimate, past_runs
from fashion_sweep.planning.plan import Plan, make_plan
from fashion_sweep.planning.request import Request
from fashion_sweep.planning.sweep_folder import check_folder, keep, make_folder, sources
from fashion_sweep.storage import code_snapshot
from fashion_sweep.storage.lease import Lease, owned, written_into
from fashion_sweep.storage.provenance import Code, git_state
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.task import Task
from packed_jobs.hydra_internals import session as hydra
from packed_jobs.hydra_internals.session import Session

CONF = shipped.CONF
NAME = "fashion_sweep"
"""Of Hydra's job, and with it of its logs."""

schema.register()
run_spec.register_resolvers()


def main() -> NoReturn:
    """Run the command line of this process and exit: 0 every run completed, 1 some run did not or the folder was
    lost, 2 nothing was trained as the command or the config is wrong, 130 and 143 interrupted by SIGINT and SIGTERM.
    """
    signals.handle()
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no news for the terminal
    arguments = hydra.parse_arguments()
    try:
        check_names()
        sys.exit(_show(arguments) if _only_shows(arguments) else _train(arguments))
    except UserError as error:
        say_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt as interruption:
        sys.exit(signals.exit_code(interruption))


def _only_shows(arguments: argparse.Namespace) -> bool:
    """Whether the command line asks Hydra for help or information instead of training."""
    flags = ("help", "hydra_help", "cfg", "info", "shell_completion", "experimental_rerun")
    return any(getattr(arguments, flag) for flag in flags)


def _show(arguments: argparse.Namespace) -> int:
    """What Hydra offers besides running. Returns the exit code; raises ConfigError where it cannot."""
    if arguments.config_path:
        arguments.config_path = str(Path(arguments.config_path).absolute())  # Hydra would begin at this file
    task = Task(None, Code(), datetime.now())
    try:
        with signals.heard():
            hydra.show(arguments, task, CONF, "config")
    except SystemExit as stopped:  # with 1 where the config cannot be composed
        return 2 if stopped.code else 0
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        raise ConfigError(hydra_errors.composition(error, arguments.overrides, None)) from error
    return 0


def _train(arguments: argparse.Namespace) -> int:
    """Plan, train and report. Returns the exit code; raises UserError where nothing was trained."""
    request = Request.typed(arguments, CONF)
    with hydra.opened(request.conf, request.extra_conf, NAME, request.started) as session:
        with log_on_stderr(), signals.heard():
            planned = make_plan(session, request)
        if planned.only_summarizes:
            model_summary.show(planned)
            return 0
        check_folder(planned)
        if planned.only_shows:
            preview.show(planned, Console())
            return 0
        make_folder(planned)
        with owned(planned.folder) as lease:
            try:
                code = _train_owned(session, request, planned, lease)
            except (KeyboardInterrupt, UserError) as error:
                lease.require()  # what is raised where the folder is lost comes of that
                if isinstance(error, KeyboardInterrupt):
                    say_resume(planned, Console())
                raise
            signals.ignore()  # what is left takes a moment, and the exit code is that of the runs
            return code


def _train_owned(session: Session, request: Request, planned: Plan, lease: Lease) -> int:
    """Train what is missing in a folder that this process owns, and report. Returns the exit code.

    Raises LostError, and writes nothing more, where the folder is lost meanwhile.
    """
    console, code, deadline = Console(), 0, None
    files = sources(planned)
    trained_with = Code(git_state(), code_snapshot.fingerprint(files))
    due = resume.take_over(planned, trained_with, console)
    if planned.is_sweep:
        with written_into(planned.folder):
            kept = keep(request, planned, files)
        session.compose_from(kept.conf, kept.extra_conf)
    task = _task(request, planned, due, trained_with)
    epochs = {RunDir(spec.folder): int(spec.config.get("epochs", 1)) for spec in planned.runs}
    try:
        with progress.shown(epochs, console, epochs.keys() - {RunDir(spec.folder) for spec in due}):
            if due and planned.has_lanes and not planned.is_detached:
                import_report()
            code = _run(session, request, planned, task, lease) if due or not planned.specs else 0
    except KeyboardInterrupt as interruption:
        code, deadline = signals.exit_code(interruption), getattr(interruption, "deadline", None)
    lease.require()
    if planned.is_detached and due and code < signals.INTERRUPTED:
        return code or say_submitted(planned.folder, console)
    return conclude(planned, console, code, deadline)


def _task(request: Request, planned: Plan, due: list[RunSpec], code: Code) -> Task:
    """What Hydra is to call for the runs that are missing."""
    specs = due if planned.is_sweep else [dataclasses.replace(spec, request=request.to_json()) for spec in due]
    nodes = {str(spec.config["trainer"]): spec.config["trainer"] for spec in due} or {"": planned.trainer}
    path = [str(SweepDir(planned.folder).code.absolute())] if planned.is_sweep else []
    return Task(
        specs if planned.specs else None, code, request.started, path, list(nodes.values()),
        outlives=planned.launcher_name not in ("packed", "basic"),
        seconds=estimate(due, past_runs(planned.folder)).seconds if planned.is_for_slurm else {},
    )  # fmt: skip


def _run(session: Session, request: Request, planned: Plan, task: Task, lease: Lease) -> int:
    """Have Hydra launch the runs, which call ``task``. Returns the exit code. Raises LostError."""
    start = session.multirun if planned.is_sweep else session.run
    hidden = Redaction.all(spec.hidden for spec in planned.specs)
    try:
        with redacted_logs(hidden), signals.heard():
            start(planned.config, request.config_name, task)
    except (Exception, SystemExit) as error:
        lease.require()
        is_logged = isinstance(error, CompactHydraException)  # a run's failure, in the run's log
        where = "" if is_logged else keep_traceback(SweepDir(planned.folder).launch_error, hidden.in_text)
        say_error(hidden.in_text(f"{type(error).__name__}: {hydra_errors.first_line(error)}") + where)
        return 1
    return 0
