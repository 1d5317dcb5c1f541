"""What a job changes of its process is as before when the next one starts."""

from __future__ import annotations

import gc
import locale
import logging
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from fashion_sweep.training import process_settings
from packed_jobs.process_state import restored


def umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def soft_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def lower_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit() - 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def other_cores() -> set[int]:
    """Other cores than this process has: it may have been pinned to one of several."""
    every = set(range(os.cpu_count() or 1))
    mine = os.sched_getaffinity(0)
    return every - mine or {min(mine)}


def set_time_zone() -> None:
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "current folder": (Path.cwd, lambda: os.chdir("/")),
    "umask": (umask, lambda: os.umask(0o755)),
    "a variable set": (lambda: dict(os.environ), lambda: os.environ.update(ADDED="1", HOME="/nowhere")),
    "all variables deleted": (lambda: dict(os.environ), os.environ.clear),
    "SIGINT ignored": (lambda: signal.getsignal(signal.SIGINT), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    "SIGCHLD ignored": (
        lambda: signal.getsignal(signal.SIGCHLD),
        lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    ),
    "a timer": (lambda: signal.getitimer(signal.ITIMER_REAL), lambda: signal.alarm(100)),
    "cores": (lambda: os.sched_getaffinity(0), lambda: os.sched_setaffinity(0, other_cores())),
    "filters of warnings": (lambda: list(warnings.filters), lambda: warnings.simplefilter("error")),
    "garbage collection": (gc.isenabled, gc.disable),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8")),
    "time zone": (lambda: time.localtime(0).tm_hour, set_time_zone),
    "SIGTERM blocked": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
    ),
    "a limit": (soft_limit, lower_limit),
    "module search path": (lambda: list(sys.path), sys.path.clear),
    "arguments": (lambda: list(sys.argv), sys.argv.clear),
    "standard error": (lambda: sys.stderr, lambda: setattr(sys, "stderr", None)),
    "recursion limit": (sys.getrecursionlimit, lambda: sys.setrecursionlimit(5000)),
    "logging": (lambda: logging.root.manager.disable, lambda: logging.disable(logging.CRITICAL)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_job_changes_is_restored(what: str) -> None:
    read, change = CHANGES[what]
    before = read()
    with restored():
        change()
        assert read() != before
    assert read() == before


def test_the_folder_is_found_after_it_was_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "old")
    with restored():
        os.chdir("/")
        (tmp_path / "old").rename(tmp_path / "new")
    assert Path.cwd() == tmp_path / "new"


def fail_elsewhere() -> None:
    os.chdir("/")
    Path("no such file").read_text()


def test_an_exception_passes_and_the_state_is_restored() -> None:
    before = Path.cwd()
    with pytest.raises(FileNotFoundError), restored():
        fail_elsewhere()
    assert Path.cwd() == before


SETTINGS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "floatx": (keras.config.floatx, lambda: keras.config.set_floatx("float64")),
    "epsilon": (keras.config.epsilon, lambda: keras.config.set_epsilon(1e-3)),
    "image data format": (
        keras.config.image_data_format,
        lambda: keras.config.set_image_data_format("channels_first"),
    ),
    "dtype policy": (
        lambda: keras.config.dtype_policy().name,
        lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
    ),
    "most epochs": (keras.config.max_epochs, lambda: keras.config.set_max_epochs(1)),
    "traceback filtering": (keras.config.is_traceback_filtering_enabled, keras.config.disable_traceback_filtering),
    "eager functions": (tf.config.functions_run_eagerly, lambda: tf.config.run_functions_eagerly(True)),
    "TF32": (
        tf.config.experimental.tensor_float_32_execution_enabled,
        lambda: tf.config.experimental.enable_tensor_float_32_execution(False),
    ),
    "NumPy's errors": (np.geterr, lambda: np.seterr(all="raise")),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_settings_of_libraries_are_restored(what: str) -> None:
    read, change = SETTINGS[what]
    before = read()
    with process_settings.restored():
        change()
        assert read() != before
    assert read() == before


def test_every_setting_of_keras_is_known() -> None:
    """What can be set can be read, but for the backend, which Keras reads once."""
    names = {name.removeprefix("set_") for name in dir(keras.config) if name.startswith("set_")} - {"backend"}
    switches = {name.removeprefix("disable_") for name in dir(keras.config) if name.startswith("disable_")}
    assert len(list(process_settings._keras())) == len(names) + len(switches)
