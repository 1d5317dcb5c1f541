"""What runs may change for the whole process, kept from the runs that the same process trains after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from fashion_sweep.training.engines import NAMES, engine_named
from packed_jobs import process_state

Setting = tuple[Callable[[], Any], Callable[[Any], object]]
"""Reads a setting, and sets it."""


@contextmanager
def restored() -> Iterator[None]:
    """After the block the process (``process_state.restored``), Keras, NumPy and the engines have their settings of
    before. Libraries that the block is the first to import keep what it sets.
    """
    with process_state.restored(), ExitStack() as undo:
        for read, write in (*_keras(), *_engines(), _numpy()):
            undo.callback(_restore, read, write, read())
        yield


def _restore(read: Callable[[], Any], write: Callable[[Any], object], before: Any) -> None:
    if read() != before:
        write(before)


def _numpy() -> Setting:
    return np.geterr, lambda errors: np.seterr(**errors)


def _engines() -> Iterator[Setting]:
    """Of every engine whose library is imported, by whomever."""
    for name in NAMES:
        yield from engine_named(name).settings()


def _keras() -> Iterator[Setting]:
    """Every setting of keras.config: ``set_X`` sets X, ``enable_X`` and ``disable_X`` what ``is_X_enabled`` reads."""
    keras = sys.modules.get("keras")
    if keras is None:
        return
    config = keras.config
    for name in dir(config):
        setting = name.removeprefix("set_")
        if name.startswith("set_") and setting != "backend" and hasattr(config, setting):
            yield getattr(config, setting), getattr(config, name)
        switch = name.removeprefix("is_").removesuffix("_enabled")
        if hasattr(config, f"enable_{switch}") and hasattr(config, f"disable_{switch}"):
            yield getattr(config, name), _switch(config, switch)


def _switch(config: Any, name: str) -> Callable[[Any], object]:
    return lambda on: getattr(config, f"{'enable' if on else 'disable'}_{name}")()
