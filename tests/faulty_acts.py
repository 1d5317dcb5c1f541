"""What a run's code may do to its process: small functions, named in overrides, for trainers and callbacks of tests."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LINE = "x" * 1023 + "\n"
FLOOD_MIB = 100


def raises() -> None:
    raise ValueError("this run raises")


def tells_the_token() -> None:
    raise ValueError(f"the server refused the token {os.environ['TOKEN']}")


def exits_with_zero() -> None:
    os._exit(0)


def segfaults() -> None:
    ctypes.string_at(0)


def aborts() -> None:
    os.abort()


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_group() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def stops() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hangs() -> None:
    time.sleep(600)


def overflows() -> None:
    """Fills the stack of the interpreter, where no limit of Python's ends it."""
    sys.setrecursionlimit(10**8)

    def deeper(value: Any) -> Any:
        return list(map(deeper, [value]))

    deeper(0)


def takes_all_memory() -> None:
    """Until the kernel ends this process."""
    held = []
    while True:
        held.append(bytes(range(256)) * 2**16)


def fills_the_disk() -> None:
    with contextlib.suppress(OSError), Path("filler").open("ab", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def closes_descriptors() -> None:
    os.closerange(3, 4096)


def closes_everything() -> None:
    os.closerange(0, 4096)


def floods() -> None:
    for _ in range(FLOOD_MIB * 1024):
        sys.stdout.write(LINE)
    for _ in range(FLOOD_MIB * 1024 // 10):
        sys.stderr.write(LINE)


def prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        print("a run speaks: ±", file=stream, flush=True)
    logging.getLogger("mine").warning("a run warns: ±")


def leaves_a_daemon() -> None:
    subprocess.Popen(["sleep", "100"], start_new_session=True)


def leaves_a_child() -> None:
    """A forked child that holds all that is open, and lives on."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(100)
        os._exit(0)


def leaves_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(100,)).start()


def forks_and_returns() -> None:
    """Forgets to end the child, which returns into the run as well."""
    os.fork()


def forks_and_exits() -> None:
    if os.fork() == 0:
        sys.exit(0)
    time.sleep(0.5)


def forks_and_raises() -> None:
    if os.fork() == 0:
        raise ValueError("in the child")
    time.sleep(0.5)


def changes_folder() -> None:
    os.chdir(os.environ.get("ELSEWHERE", "/"))


def removes_its_folder() -> None:
    folder = Path("removed").absolute()
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    folder.rmdir()


def sets_umask() -> None:
    os.umask(0o777)


def sets_environment() -> None:
    os.environ["TOKEN_OF_A_RUN"] = "set"
    del os.environ["HOME"]


def sets_handlers() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def sets_limits() -> None:
    """Too few descriptors for what comes after it, and files that may not grow."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def breaks_imports() -> None:
    sys.path.clear()
    sys.modules.pop("json", None)


def breaks_logging() -> None:
    logging.disable(logging.CRITICAL)
    logging.getLogger().handlers.clear()


def replaces_streams() -> None:
    sys.stdout = sys.stderr = None


def sets_keras() -> None:
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_epsilon(0.1)
    keras.config.set_image_data_format("channels_first")
    keras.mixed_precision.set_global_policy("mixed_float16")


def _connections() -> list[int]:
    numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists() or path.is_symlink()]
    return [number for number in numbers if _is_socket(number)]


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


def sends_bytes() -> None:
    """Bytes that no message begins with, to whoever listens at the other end of this process's sockets."""
    for number in _connections():
        os.write(number, b"no message at all " * 10)


def _send(*messages: Any) -> None:
    for number in _connections():
        connection: Connection[Any, Any] = Connection(os.dup(number))
        for message in messages:
            connection.send(message)


def sends_objects() -> None:
    """Objects that are no messages."""
    _send("hello", None, [1, 2], {"index": 0})


def sends_messages_again() -> None:
    """Messages in the lane's own name, as a copy of it would send them: that it is ready, while a run trains."""
    from packed_jobs.local.channel import framed
    from packed_jobs.local.messages import Ready

    key = bytes.fromhex(json.loads(sys.argv[1])["key"])
    for number in _connections():
        for message in (Ready(0.0), Ready(0.0)):
            os.write(number, framed(key, pickle.dumps(message)))


def looks_around() -> None:
    """Writes down what a run finds: ``witness.json`` in the folder that the command was started in."""
    mask = os.umask(0)
    os.umask(mask)
    found: dict[str, Any] = {
        "folder": str(Path.cwd()),
        "umask": oct(mask),
        "environment": [name for name in ("TOKEN_OF_A_RUN", "HOME") if name in os.environ],
        "handlers": [signal.getsignal(number) is signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "limits": [
            resource.getrlimit(kind)[0] > 100 or resource.getrlimit(kind)[0] < 0
            for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)
        ],
        "path": bool(sys.path),
        "streams": sys.stdout is not None and sys.stderr is not None,
        "logging": logging.getLogger("mine").isEnabledFor(logging.ERROR),
    }
    if "keras" in sys.modules:
        import keras

        found["keras"] = [
            keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format(),
            keras.mixed_precision.global_policy().name,
        ]  # fmt: skip
    Path(os.environ["WITNESS"]).write_text(json.dumps(found))


def act(name: str | None) -> None:
    """Call a function of this module; None: nothing."""
    if name is not None:
        chosen: Callable[[], None] = globals()[name]
        chosen()
