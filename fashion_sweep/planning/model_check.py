"""Models of one's own, built before the first run starts, in a process of their own.

A model function may do anything: import TensorFlow, print, exit, crash. None of that may reach the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fashion_sweep.data import loading
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import UserError
from fashion_sweep.training.engines import process
from fashion_sweep.training.trainer import trainer_of

MODULE = "fashion_sweep.planning.model_check"


def problems(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the distinct models of resolved configs, one line each; empty where nothing is."""
    nodes = [{key: config[key] for key in ("model", "data", "trainer")} for config in configs]
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}  # a process can hold one engine
    for node in nodes:
        trainer = trainer_of(node)
        if trainer.tries_models:
            group = groups.setdefault(str(dict(trainer.environment)), {})
            group[json.dumps(node, sort_keys=True)] = node
    return list(dict.fromkeys(problem for group in groups.values() for problem in _found(group)))


def _found(wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong with the models of these nodes, by the nodes as JSON."""
    code, answers = _answers(list(wanted))
    found = [answer for answer in answers if answer]
    if len(answers) < len(wanted):
        target = list(wanted.values())[len(answers)]["model"]["_target_"]
        found.append(f"model {target} ended the process that built it ({_ending(code)}), expected a keras.Model")
    return found


def _answers(nodes: Sequence[str]) -> tuple[int, list[str | None]]:
    """Exit code of the process, and a line for each model that it got to: what is wrong with it, or nothing."""
    reader, writer = os.pipe()
    command = [sys.executable, "-c", f"from {MODULE} import serve; serve()", str(writer), *sys.path]
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
            process.stdin.write(json.dumps(list(nodes)))
            process.stdin.close()
        with os.fdopen(reader, encoding="utf-8", errors="replace") as answers:
            lines = answers.read().splitlines()
    return process.returncode, list(_whole(lines))


def _whole(lines: Sequence[str]) -> Iterator[str | None]:
    """The answers before the first line that is none: torn, or written by the model's own code."""
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            return
        if not (answer is None or isinstance(answer, str)):
            return
        yield answer


def serve() -> None:
    """The process's side: build the models that standard input names, and write what is wrong with each."""
    sys.path[:] = sys.argv[2:]
    with os.fdopen(int(sys.argv[1]), "w", buffering=1, encoding="utf-8") as answers:
        for node in map(json.loads, json.load(sys.stdin)):
            answers.write(json.dumps(_problem(node)) + "\n")


def _problem(node: Mapping[str, Any]) -> str | None:
    try:
        trainer = trainer_of(node)
        with process.first_import(trainer.environment):  # a dataset's function may import Keras
            trainer.summary(node, loading.load(node["data"]))
    except UserError as error:
        return str(error)
    except Exception as error:  # whatever a summary may raise of a model that could be built
        return f"model {node['model']['_target_']} cannot be described: {one_line(error)}"
    return None


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
