"""What a process needs before it can run packs: the task function, the modules' folders and Hydra's global state.

Worker processes on this machine get it through a connection; those of a cluster read it from a file.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals
from hydra.types import HydraContext, TaskFunction


@dataclass(frozen=True)
class Program:
    """A task function and the state of the process that launches its jobs. ``path`` has to be sys.path before either
    is loaded; it begins with ``import_path``, the task function's own.
    """

    task: bytes  # pickled by cloudpickle
    state: bytes  # see captured_state
    path: tuple[str, ...]  # sys.path, below the task function's own import_path
    import_path: tuple[str, ...] = ()

    def load_task(self) -> TaskFunction:
        """Unpickle the task function. Raises whatever that raises."""
        task: TaskFunction = pickle.loads(self.task)
        return task


def make_program(task: TaskFunction, context: HydraContext) -> Program:
    """The program that runs a task function as this process would. context: with Hydra's own config loader."""
    own = tuple(map(str, getattr(task, "import_path", ())))
    return Program(cloudpickle.dumps(task), captured_state(context), (*own, *map(str, sys.path)), own)


def captured_state(context: HydraContext) -> bytes:
    """What jobs depend on in this process besides the task function, for ``restore_state``: Hydra's singletons and
    resolvers, the context, the current folder and sys.argv.
    """
    state: bytes = cloudpickle.dumps((Singleton.get_state(), context, str(Path.cwd()), sys.argv))
    return state


def restore_state(state: bytes) -> HydraContext:
    """Make this process like the one that captured the state. Returns its context."""
    setup_globals()
    singletons, context, folder, sys.argv[:] = pickle.loads(state)
    Singleton.set_state(singletons)
    os.chdir(folder)
    restored: HydraContext = context
    return restored
