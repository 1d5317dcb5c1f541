"""What each engine costs a run: imports, the first epoch, every further one, and memory."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path

from benchmarks.grid import Settings
from benchmarks.processes import run, run_together, shown
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import JAX, NAMES, engine_named

TOGETHER = 8
"""Runs of the pack whose memory is compared with that of a single run."""
EPOCHS = 4
LINES = {f"engine {name}": name for name in NAMES}
QUANTITIES = {
    "import_seconds": "s to import Keras",
    "wall_seconds": "s, one run, cold",
    "first_epoch_seconds": "s, its first epoch",
    "epoch_seconds": "s, a later one",
    "mib": "MiB, one run",
    "mib_per_run": "MiB, each further run of a pack",
}
"""Quantity of a sample -> its column."""


def why_not(engine: str) -> str:
    """Why an engine cannot be measured; empty where it can."""
    return "JAX is not installed" if engine == JAX and importlib.util.find_spec("jax") is None else ""


def commands(engine: str, limit: int | None, folder: Path) -> list[list[str]]:
    """One run, alone in a lane, and a pack of several."""
    common = [sys.executable, "-m", "fashion_sweep", "-m", *Settings(EPOCHS, limit).overrides, "model.dropout=0.3"]
    common += [f"trainer.engine={engine}", "hydra.launcher.lanes=1", f"hydra.launcher.pack_size={TOGETHER}"]
    return [[*common, f"seed={seeds}", f"hydra.sweep.dir={folder / name}"]
            for name, seeds in (("one", "0"), ("pack", f"range({TOGETHER})"))]  # fmt: skip


def measure(engine: str, limit: int | None, folder: Path) -> tuple[dict[str, float], str]:
    """Quantities of a sample, and the command of the pack. folder: an empty one. Raises CommandError.

    The first epoch includes tracing and compilation.
    """
    extra = dict(engine_named(engine).environment)
    (imported,) = run_together([[sys.executable, "-c", "import keras"]], folder, extra)
    (bare,) = run_together([[sys.executable, "-c", ""]], folder, extra)
    one, pack = commands(engine, limit, folder)
    cold = run(one, folder)
    run(pack, folder)
    (run_dir,) = SweepDir(folder / "one").run_dirs()
    first, *later = [row["seconds"] for row in run_dir.read_history()]
    alone, together = _memory(folder / "one"), _memory(folder / "pack")
    found = {
        "import_seconds": imported.seconds - bare.seconds,
        "wall_seconds": cold.seconds,
        "first_epoch_seconds": first,
        "epoch_seconds": statistics.median(later),
        "mib": alone,
        "mib_per_run": (together - alone) / (TOGETHER - 1),
    }
    return found, shown(pack, folder)


def _memory(sweep: Path) -> float:
    """Peak memory of the process that trained, in MiB. Raises ValueError if no record has it."""
    records = [run_dir.read_record() for run_dir in SweepDir(sweep).run_dirs()]
    return max(record.memory_mib for record in records if record is not None and record.memory_mib is not None)
