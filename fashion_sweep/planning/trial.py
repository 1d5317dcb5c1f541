"""What configs name besides what conf/ ships, built once before the first run starts, in a process of its own.

A function of one's own may do anything: import TensorFlow, print, exit, crash. None of that may reach the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fashion_sweep.config.constraints import generalized
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.config.shipped import ships
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import UserError
from fashion_sweep.training.engines import process
from fashion_sweep.training.trainer import trainer_of

MODULE = "fashion_sweep.planning.trial"

SHARED = ("data", "trainer", "batch_size", "epochs")
"""Keys that every trial needs besides those that its trainer tries; the last two only say how many steps there are."""


def problems(specs: Sequence[RunSpec]) -> list[str]:
    """What is wrong with what the runs name, one line each; empty where nothing is."""
    groups: dict[str, list[RunSpec]] = {}  # a process can hold one engine
    for spec in specs:
        if not _is_shipped(spec.config):
            groups.setdefault(str(dict(trainer_of(spec.config).environment)), []).append(spec)
    return list(dict.fromkeys(problem for group in groups.values() for problem in _found(group)))


def _found(specs: Sequence[RunSpec]) -> list[str]:
    """What is wrong with what runs of one engine name."""
    with TemporaryDirectory(prefix="fashion-sweep-", ignore_cleanup_errors=True) as folder:
        code, lines = _answers(_cases(specs, folder), folder)
    found = [problem for line in lines for problem in line.get("problems", ())]
    if lines[-1:] != [{"end": True}]:
        found.append(f"{_last_announced(lines)} ended the process that tried it ({_ending(code)})")
    return found


def _is_shipped(config: Mapping[str, Any]) -> bool:
    return all(ships(key, config.get(key, {})) for key in trainer_of(config).tried_keys)


def _cases(specs: Sequence[RunSpec], folder: str) -> list[str]:
    """The distinct configs to try, as JSON, in the order of the runs; those with one model stand together.

    In the place of a run's folder, which is not to be written, they have another one.
    """
    models: dict[str, dict[str, str]] = {}
    for spec in specs:
        keys = (*trainer_of(spec.config).tried_keys, *SHARED)
        text = json.dumps({key: spec.config[key] for key in keys if key in spec.config}, sort_keys=True)
        text = text.replace(json.dumps(str(spec.folder))[1:-1], json.dumps(folder)[1:-1])
        model, whole = _kinds(json.loads(text))
        models.setdefault(model, {}).setdefault(whole, text)
    return [text for cases in models.values() for text in cases.values()]


def _kinds(config: Mapping[str, Any]) -> tuple[str, str]:
    """Equal for configs with one model, and for configs of which one trial is enough."""
    tried = {key: generalized(node) for key, node in config.items() if key not in ("batch_size", "epochs")}
    model = [tried.get(key) for key in ("model", "data", "trainer")]
    return json.dumps(model, sort_keys=True), json.dumps(tried, sort_keys=True)


def _answers(cases: Sequence[str], folder: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code of the process, and what it said: what it was about to build, and the problems of each case."""
    reader, writer = os.pipe()
    command = [sys.executable, "-c", f"from {MODULE} import serve; serve()", str(writer), folder, *sys.path]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[writer],
        text=True,
    ) as process:
        os.close(writer)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(list(cases)))
            process.stdin.close()
        with os.fdopen(reader, encoding="utf-8", errors="replace") as answers:
            lines = answers.read().splitlines()
    return process.returncode, list(_whole(lines))


def _whole(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The answers before the first line that is none: torn, or written by the user's own code."""
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            return
        if not isinstance(answer, dict):
            return
        yield answer


def _last_announced(lines: Sequence[Mapping[str, Any]]) -> str:
    announced = [line["next"] for line in lines if "next" in line]
    return str(announced[-1]) if announced else "the data or trainer"


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def serve() -> None:
    """The process's side: try the configs that standard input has, and write what is wrong with each."""
    sys.path[:] = sys.argv[3:]
    folder = Path(sys.argv[2])
    with os.fdopen(int(sys.argv[1]), "w", buffering=1, encoding="utf-8") as answers:

        def say(**answer: Any) -> None:
            answers.write(json.dumps(answer) + "\n")

        for number, case in enumerate(map(json.loads, json.load(sys.stdin))):
            place = folder / str(number)
            place.mkdir()
            found = _problems(case, place, lambda what: say(next=what))
            say(problems=[problem.replace(f"{place}/", "").replace(f"{folder}/", "") for problem in found])
        say(end=True)


def _problems(case: Mapping[str, Any], folder: Path, announce: Callable[[str], None]) -> list[str]:
    try:
        trainer = trainer_of(case)
        with process.first_import(trainer.environment):  # a dataset's function may import Keras
            return trainer.try_out(case, folder, announce)
    except UserError as error:
        return [str(error)]
    except Exception as error:
        return [f"what the config names cannot be tried: {type(error).__name__}: {one_line(error)}"]
