"""A folder to damage, and Hypothesis strategies for what may be wrong with its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from analysis_folders import grid, run_folder, write_samples, write_sweep
from hypothesis import strategies as st
from look_records import look

from fashion_sweep.storage import looks
from fashion_sweep.storage.owner import Owner

POINT, OTHER = grid(seed=[0, 1])
REQUEST = {
    "overrides": ["seed=0,1"],
    "config_name": "config",
    "config_path": "/conf",
    "config_dir": None,
    "started": "2025-01-02T03:04:05",
}
YAML = "data: {limit: null, _target_: a.b}\nmodel: {x: '${oc.env:HOME}', y: 1}\nseed: ${model.y}\n"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from(["../x", "\x1b[2J", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
NASTY = [b"[" * 100_000, b"{" * 400, b"1" * 5000, b"\xef\xbb\xbf", b"\\ud800", b"\xed\xa0\x80"]
NASTY += [b"NaN", b"-1", b"1e999", b"*a", b"2025-99-99", b"!!python/object:os.system", b"!!set {a}"]


class Folder:
    """A sweep's folder of two runs, with every file that is read again."""

    def __init__(self, path: Path) -> None:
        self.sweep = write_sweep(path, [POINT, OTHER])
        self.run = run_folder(self.sweep, POINT)
        entries = self.sweep.read_plan()[1]
        self.sweep.write_plan("python -m fashion_sweep", entries, [REQUEST])
        write_samples(self.sweep)
        looks.add(self.sweep, look())
        (path / "owner.json").write_text(json.dumps(vars(Owner.this_process())))
        self.run.composed.parent.mkdir()
        self.run.composed.write_text(YAML)
        np.savez(self.run.state, np.array(json.dumps(note())), np.ones((2, 3), "float32"), np.float64(0.5))
        images, labels = np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 2, 1])
        np.savez_compressed(path / "data.npz", images=images, labels=labels)


def note() -> dict[str, Any]:
    """What a saved state says of its arrays."""
    kept = [{"best": {"array": 1}, "wait": 1, "nested": {"dict": {"a": [1]}}}]
    return {"stamp": {"identity": "0"}, "epoch": 2, "variables": 1, "callbacks": kept}


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A function that damages the contents of a file."""
    kind = draw(st.sampled_from(["other", "cut", "flipped", "longer"]))
    if kind == "other":
        other = draw(st.binary(max_size=100) | st.sampled_from(NASTY))
        return lambda _: other
    place = draw(st.floats(0, 1, exclude_max=True))
    if kind == "cut":
        return lambda valid: valid[: int(place * len(valid))]
    if kind == "longer":
        added = draw(st.binary(min_size=1, max_size=20) | st.sampled_from(NASTY))
        return lambda valid: valid[: int(place * len(valid))] + added + valid[int(place * len(valid)) :]
    flips = draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
    return lambda valid: flipped(valid, flips)


def flipped(valid: bytes, flips: list[tuple[float, int]]) -> bytes:
    changed = bytearray(valid)
    for place, bits in flips:
        changed[int(place * len(valid))] ^= bits
    return bytes(changed)


@contextmanager
def replaced(path: Path, damage: Callable[[bytes], bytes]) -> Iterator[None]:
    """Within the block, the file is damaged."""
    valid = path.read_bytes()
    path.write_bytes(damage(valid))
    try:
        yield
    finally:
        path.write_bytes(valid)


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[Any], Any]:
    """A function that replaces, drops or doubles some node of a JSON value."""
    choices = draw(st.lists(st.tuples(st.integers(0, 10**6), ANY_JSON, st.sampled_from("=-+")), min_size=1, max_size=2))

    def mutate(value: Any) -> Any:
        for number, other, how in choices:
            places = list(paths(value))
            value = changed(value, places[number % len(places)], other, how)
        return value

    return mutate


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys and indices that lead to each node."""
    yield so_far
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*so_far, key))


def changed(value: Any, path: tuple[Any, ...], other: Any, how: str) -> Any:
    if not path:
        return other if how == "=" else [value, value] if how == "+" else None
    copy = dict(value) if isinstance(value, dict) else list(value)
    if how == "-" and len(path) == 1:
        del copy[path[0]]
    elif how == "+" and len(path) == 1 and isinstance(copy, list):
        copy.insert(path[0], copy[path[0]])
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], other, how)
    return copy


def printable(value: Any) -> bool:
    """Whether all text in a value can be written as UTF-8."""
    return bool(str(value).encode("utf-8") or True)


def safe(text: object) -> bool:
    """Whether a text holds nothing that a terminal acts upon, or that cannot be printed."""
    return not any(char < " " or "\x7f" <= char <= "\x9f" for char in str(text)) and printable(text)
