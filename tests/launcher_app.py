"""Task functions for the tests of the launcher. Lanes import this module: it must be light."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from packed_jobs import Job, Prepared, run

log = logging.getLogger("launcher_app")
state: list[Any] = []
"""What this process remembers."""
started_with = dict(os.environ)


class OddError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def note(folder: str, name: str, text: str = "") -> int:
    """Append a line to a file of the job. Returns the number of its lines."""
    with Path(folder, name).open("a") as file:
        file.write(f"{text}\n")
    return len(Path(folder, name).read_text().splitlines())


def act(config: DictConfig) -> Any:
    """Call the function below that ``do`` names, or return its value."""
    folder = HydraConfig.get().runtime.output_dir
    tries = note(folder, "tries", str(os.getpid()))
    return deeds[config.do](tries) if config.do in deeds else config.do


def kill_itself(_tries: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_itself_once(tries: int) -> str:
    if tries == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"try {tries}"


def fail(_tries: int) -> None:
    raise ValueError("no such luck")


def fail_oddly(_tries: int) -> None:
    raise OddError("this", "that")


def sleep_long(_tries: int) -> None:
    """Sleep, and leave a record when interrupted."""
    folder = HydraConfig.get().runtime.output_dir
    try:
        note(folder, "asleep")
        time.sleep(60)
    except KeyboardInterrupt:
        note(folder, "interrupted")
        raise


def sleep_deaf(_tries: int) -> None:
    """Sleep, and ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note(HydraConfig.get().runtime.output_dir, "asleep")
    time.sleep(60)


def remember(_tries: int) -> tuple[int, int]:
    """The process, and how many jobs it has remembered."""
    state.append(None)
    return os.getpid(), len(state)


def speak_nonsense(_tries: int) -> None:
    """Write to every open file descriptor, as a program does that has its numbers mixed up."""
    for descriptor in range(3, 256):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\x00\x00\xff\xff nonsense")


def fork(_tries: int) -> str:
    """Forks, and both processes go on."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "forked"


def change_process(_tries: int) -> str:
    """Change what the next job would find."""
    os.chdir("/")
    os.umask(0o777)
    os.environ["ADDED"] = "1"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.path.clear()
    return str(os.getpid())


def process(_tries: int) -> tuple[str, str, str | None, bool]:
    """What the job before may have changed."""
    return (
        str(os.getpid()),
        str(Path.cwd()),
        os.environ.get("ADDED"),
        signal.getsignal(signal.SIGTERM) is signal.SIG_IGN,
    )


def meet(_tries: int) -> str | None:
    """Wait for another job of the sweep to run at the same time; the GPUs that this one sees."""
    sweep, end = Path(HydraConfig.get().runtime.output_dir).parent, time.monotonic() + 30
    while len(list(sweep.glob("*/tries"))) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


deeds: dict[str, Callable[[int], Any]] = {
    "kill": kill_itself,
    "kill_once": kill_itself_once,
    "os_exit": lambda _: os._exit(7),
    "exit": lambda _: sys.exit(3),
    "raise": fail,
    "raise_oddly": fail_oddly,
    "lock": lambda _: threading.Lock(),
    "sleep": sleep_long,
    "deaf": sleep_deaf,
    "meet": meet,
    "nap": lambda _: time.sleep(0.3),
    "nonsense": speak_nonsense,
    "fork": fork,
    "change": change_process,
    "process": process,
    "pid": lambda _: os.getpid(),
    "remember": remember,
    "pinned": lambda _: (
        sorted(os.sched_getaffinity(0)),
        {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS", "CUDA_VISIBLE_DEVICES")},
    ),
}


def packed(config: DictConfig) -> Any:
    """A task function with all that the launcher can use."""
    return f"alone {config.do}", os.getpid()


def warm_up() -> None:
    state.append("warm")


def prepare(config: DictConfig, number: int) -> Prepared:
    """The config has its hydra node, which is HydraConfig's as well."""
    if config.do == "unprepared":
        raise ValueError("no such job")
    hydra_node = HydraConfig.get()
    assert hydra_node.job.num == config.hydra.job.num == number
    seen = list(hydra_node.overrides.task), number
    payload = threading.Lock() if config.do == "lock" else Unloadable() if config.do == "unloadable" else seen
    key: Any = [] if config.do == "unhashable" else config.get("group")
    return Prepared(key, float(config.get("cost", 1.0)), payload, config.get("environment") or {})


class Unloadable:
    """Pickles but does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return refuse, ()


def number_of(overrides: Sequence[str]) -> int | None:
    """The number that an override asks for."""
    return next((int(line.removeprefix("+n=")) for line in overrides if line.startswith("+n=")), None)


def run_pack(jobs: Sequence[Job]) -> list[Any]:
    for job in jobs:
        note(job.hydra.hydra.runtime.output_dir, "tries", str(os.getpid()))
        if job.config.do == "die" or (job.config.do == "kill" and len(jobs) > 1):
            os.kill(os.getpid(), signal.SIGKILL)
    if any(job.config.do == "sleep" for job in jobs) and len(jobs) > 1:
        time.sleep(60)
    if any(job.config.do == "exit" for job in jobs):
        sys.exit(4)
    log.info("to all")
    return [_in_pack(job, [each.number for each in jobs]) for job in jobs]


def _in_pack(job: Job, numbers: list[int]) -> Any:
    with job.own_log():
        log.info("to job %d", job.number)
    if job.config.do == "raise":
        return ValueError(f"job {job.number}")
    if job.config.do == "payload":
        return job.payload
    if job.config.do == "flavour":
        return os.environ["FLAVOUR"]
    if job.config.do == "started_with":
        return os.getpid(), started_with.get("FLAVOUR")
    return numbers, list(state), job.hydra.hydra.runtime.output_dir


def on_lost(job: Job, reason: str) -> None:
    folder = job.hydra.hydra.runtime.output_dir
    Path(folder).mkdir(parents=True, exist_ok=True)
    note(folder, "lost", f"{job.config.do}: {reason}")
    assert HydraConfig.get().job.num == job.number
    if job.payload is not None:
        note(folder, "payload", str(job.payload))


class Noting(Callback):
    """Notes when a job starts and ends."""

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        note(config.hydra.runtime.output_dir, "calls", "start")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        note(config.hydra.runtime.output_dir, "calls", f"end {job_return.status.name}")


def overflow() -> None:
    """Let packs run out of stack."""
    run.FRAMES_A_JOB = 0
    sys.setrecursionlimit(400)


def shallow(config: DictConfig) -> Any:
    """A task function whose packs end without all results."""
    return f"alone {config.do}"


def die_early() -> None:
    os._exit(5)


def frail(config: DictConfig) -> Any:
    """A task function whose lanes die as they start."""
    return config.do


def frail_in_places(config: DictConfig) -> Any:
    """A task function whose lanes die as they start where a variable says so."""
    return act(config)


def die_in_places() -> None:
    if "FRAIL" in os.environ:
        die_early()


def plain(config: DictConfig) -> Any:
    """A task function that offers nothing but itself."""
    return config.do


class Planned:
    """A task function that has planned its jobs."""

    def __init__(self, jobs: list[str]) -> None:
        self._jobs = jobs

    def jobs(self) -> list[list[str]]:
        return [job.split() for job in self._jobs]

    def __call__(self, config: DictConfig) -> Any:
        return config.do


frail_in_places.warm_up = die_in_places  # type: ignore[attr-defined]
frail.warm_up = die_early  # type: ignore[attr-defined]
shallow.warm_up, shallow.prepare, shallow.run_pack = overflow, prepare, run_pack  # type: ignore[attr-defined]
for function in (warm_up, prepare, number_of, run_pack, on_lost):
    setattr(packed, function.__name__, function)
act.on_lost = on_lost  # type: ignore[attr-defined]


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def refuse() -> None:
    raise RuntimeError("only the parent can have this")


def terminate(*_: Any) -> None:
    raise Terminated


main = hydra.main(version_base="1.3", config_path=None)(act)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    main()
