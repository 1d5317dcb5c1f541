"""How a sweep was trained and judged, in sentences for a paper: only what its records and tables say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.parameters import SEED, swept_parameters
from fashion_sweep.analysis.settings import label, levels
from fashion_sweep.analysis.verdict import LEVEL
from fashion_sweep.reporting import table
from fashion_sweep.reporting.section import listed, spoken
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord

SOFTWARE = {"fashion-sweep": "fashion-sweep", "python": "Python", "keras": "Keras", "tensorflow": "TensorFlow",
            "jax": "JAX", "numpy": "NumPy", "scikit-learn": "scikit-learn"}  # fmt: skip
DIGITS = 12
"""Of a dataset's fingerprint: enough to tell datasets apart."""


def sentences(runs: pd.DataFrame, settings: pd.DataFrame, collected: Collected) -> list[str]:
    """What was trained on which data, how settings are compared, and with which software.

    runs: of ``summary.summarize``; settings: its ``replicates.every_setting``.
    """
    return [clean(text) for text in _sentences(runs, settings, collected)]


def _sentences(runs: pd.DataFrame, settings: pd.DataFrame, collected: Collected) -> Iterator[str]:
    yield from _data(collected.records)
    yield _grid(runs, settings, collected)
    yield from filter(None, [table.constants_sentence(runs), _budget(collected.records)])
    yield table.sentence(runs)
    yield from _statistics(settings, collected)
    yield from _machines(collected.records)


def _data(records: Sequence[RunRecord]) -> list[str]:
    """A sentence for each dataset and split."""
    return _distinct(_of_data(record) for record in records)


def _of_data(record: RunRecord) -> str:
    counts = [record.data.get(name) for name in ("train_samples", "validation_samples")]
    if not record.data.get("fingerprint"):
        return ""
    name = record.choices.get("data", "of a config")
    used = "{:,} images for training, {:,} for validation".format(*counts) if all(counts) else "cross-validated"
    return f"Dataset {name} (SHA-256 {str(record.data['fingerprint'])[:DIGITS]}): {used}."


def _grid(runs: pd.DataFrame, settings: pd.DataFrame, collected: Collected) -> str:
    names = swept_parameters(runs, collected.swept, collected.records)
    varied = listed([f"{spoken(name)} ({', '.join(levels(runs[name]))})" for name in names]) if names else ""
    seeds = levels(runs.loc[runs[SEED].notna(), SEED])
    trained = f"; seeds {', '.join(seeds)}" if len(seeds) > 1 else ""
    count = f"{len(settings)} setting{'' if len(settings) == 1 else 's'}"
    return f"{count}{' that vary ' if varied else ''}{varied}{trained}."


def _budget(records: Sequence[RunRecord]) -> str:
    """``At most 20 epochs of batches of 32 images.``, where that is the same everywhere."""
    known = {
        (record.config["epochs"], record.config["batch_size"])
        for record in records
        if record.config.keys() >= {"epochs", "batch_size"}
    }
    if len(known) != 1:
        return ""
    ((epochs, batch),) = known
    return f"At most {label(epochs)} epoch{'' if epochs == 1 else 's'}, in batches of {label(batch)} images."


def _statistics(settings: pd.DataFrame, collected: Collected) -> Iterator[str]:
    measure = collected.measure
    if settings.empty or not settings["seeds"].gt(1).any():
        yield f"Runs are ranked by {measure.result}; one seed each, so that settings are not compared by tests."
        return
    yield f"Settings are ranked by the mean over the seeds of completed runs of the {measure.result}."
    yield "Intervals are 95% intervals of the mean over seeds (Student's t)."
    if settings["p_value"].notna().any():
        yield (
            "Settings are compared by two-sided t-tests paired by seed, by Welch's where two settings share fewer than "
            f"two seeds, with Holm's correction for all pairs of settings (level {LEVEL:g})."
        )


def _machines(records: Sequence[RunRecord]) -> Iterator[str]:
    software = _distinct(
        ", ".join(f"{name} {record.versions[key]}" for key, name in SOFTWARE.items() if key in record.versions)
        for record in records
    )
    devices = _distinct(
        " ".join(str(record.device[key]) for key in ("kind", "name") if record.device.get(key)) for record in records
    )
    if software:
        yield f"Software: {'; '.join(software)}."
    if devices:
        yield f"Hardware: {'; '.join(devices)}."


def _distinct(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
