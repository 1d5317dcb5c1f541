"""A sweep from Python: the command itself in a process of its own, so that all that it guarantees holds here too."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np

from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.planning import hydra_errors
from fashion_sweep.results.load import Results, load_sweep
from fashion_sweep.training.engines import process

NEW = "outputs/sweeps/%Y-%m-%d_%H-%M-%S-%f"
"""The folder of a new sweep, by local time, as ``hydra.sweep.dir`` has it in conf/config.yaml."""

SAID_BY_COMMAND = "fashion-sweep: "
"""What an error begins with, see ``cli.logs.say_error``."""

WRONG = 2
"""The exit code of a command that is wrong; nothing was trained."""

FORCE_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables that have Rich draw as at a terminal. Notebooks set them, and cannot redraw a progress line."""

WORD = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
NO_TEXT = ("null", "true", "false", "nan", "inf")
"""Texts that need no quotes, and words that mean something else without them."""

Overrides = str | Sequence[str] | Mapping[str, object]


def sweep(
    overrides: Overrides = (),
    *,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
) -> Results:
    """Train a sweep as ``python -m fashion_sweep -m`` does, and return its results, those of failed runs included.

    overrides: what follows -m, as one text or as a list; or a dict of config keys and their values, of which a list is
        swept: {"optimizer": ["sgd", "adam"], "model.dropout": [0, 0.3], "epochs": 5}.
    folder: of the sweep; its completed runs are not trained again. By default a new one in outputs/sweeps.
    resume: folder of a sweep, or of a run, to continue with its original command; overrides are added to that.
    quiet: do not show what the command prints.
    An interrupt (Ctrl-C, or a notebook's stop button) is passed on: the runs save their states, and KeyboardInterrupt
    is raised; a second one ends the command at once. The process sees the current folder and the environment, but no
    changes to sys.path.
    Raises UserError with the command's own message where nothing was trained, or the command itself has failed.
    """
    given = lines(overrides)
    place = Path(resume or folder or datetime.now().strftime(NEW))
    key = "resume" if resume else "hydra.sweep.dir"
    if resume and folder:
        raise ConfigError("give either folder or resume: a resumed sweep stays in its folder")
    words = [*([] if resume else ["-m"]), *given, f"{key}={hydra_errors.argument(str(place))}"]
    code, errors = _run(words, quiet)
    return _results(place, words, code, errors)


def lines(overrides: Overrides) -> list[str]:
    """Overrides as the command takes them. Raises ConfigError for what ``folder`` and ``resume`` are there for."""
    if isinstance(overrides, Mapping):
        given = [f"{key}={_value(key, value)}" for key, value in overrides.items()]
    else:
        given = shlex.split(overrides) if isinstance(overrides, str) else list(overrides)
    for line in given:
        for key, argument in (("hydra.sweep.dir", "folder"), ("resume", "resume")):
            if line.lstrip("+").partition("=")[0] == key:
                raise ConfigError(f"{line}: give sweep(..., {argument}=...) instead")
    return given


def _value(key: str, value: object) -> str:
    """The values of a key: those in a list are swept. A list in it is one value, and so is a text."""
    swept = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else [value]
    if not swept:
        raise ConfigError(f"{key}: the list is empty; expected values to sweep")
    return ",".join(map(_spelled, swept))


def _spelled(value: object) -> str:
    """One value in Hydra's grammar. Raises ConfigError for one that it does not have."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None:
        return "null"
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, (int, float)):
        return repr(plain)
    if isinstance(plain, (str, Path)):
        text = str(plain)
        return text if WORD.fullmatch(text) and text.lower() not in NO_TEXT else hydra_errors.quoted(text)
    if isinstance(plain, (list, tuple)):
        return f"[{','.join(map(_spelled, plain))}]"
    raise ConfigError(
        f"{value!r:.80} is a {type(value).__name__}; expected a number, text, bool, None or a list of these"
    )


def _run(words: Sequence[str], quiet: bool) -> tuple[int, str]:
    """The command's exit code, and what it printed on stderr. Raises KeyboardInterrupt once it has ended by that."""
    command = [sys.executable, "-m", "fashion_sweep", *words]
    interrupted = False
    # Its own session, so that what interrupts this process reaches it once: a second Ctrl-C would end it at once.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={name: value for name, value in process.exported().items() if name not in FORCE_TERMINAL},
        start_new_session=True,
    ) as running:
        errors: list[str] = []
        relays = [_relay(running.stdout, "stdout", quiet, []), _relay(running.stderr, "stderr", quiet, errors)]
        while any(relay.is_alive() for relay in relays):
            try:
                for relay in relays:
                    relay.join()
            except KeyboardInterrupt:
                interrupted = True
                running.send_signal(signal.SIGINT)
    if interrupted:
        raise KeyboardInterrupt
    return running.returncode, "".join(errors)


def _relay(source: IO[str] | None, target: str, quiet: bool, kept: list[str]) -> threading.Thread:
    """Print and keep the lines of a stream in another thread, from its start to its end."""

    def work() -> None:
        for line in source or ():
            kept.append(line)
            if not quiet:
                print(line, end="", file=getattr(sys, target), flush=True)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _results(place: Path, words: Sequence[str], code: int, errors: str) -> Results:
    """What the command has left in its folder. Raises UserError with what it said where it has failed."""
    said = message(errors)
    if code == WRONG and said:
        raise UserError(said)
    if code not in (0, 1) or not place.is_dir():
        command = shlex.join(["python", "-m", "fashion_sweep", *words])
        last = said or next(reversed(errors.strip().splitlines()), "")
        raise UserError(f"{command} ended with exit code {code}{': ' * bool(last)}{last}; there are no results of it")
    results = load_sweep(place)
    results.warnings[:0] = [said] if said else []
    return results


def message(errors: str) -> str:
    """The command's last error, without its name; empty if there is none."""
    _, *said = re.split(f"^{SAID_BY_COMMAND}", errors, flags=re.M)
    return said[-1].strip() if said else ""
