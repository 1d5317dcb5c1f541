"""Both engines against plain Keras, over everything that Keras exports. ``make conformance`` writes the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conformance import exports
from conformance.arguments import UnknownArgumentError, others
from conformance.exports import MODULES, Entry

ROOT = Path(__file__).parent.parent
SAMPLE = 24
"""``make test`` tries one case in so many, with the engine that compiles faster; ``make conformance`` tries all."""


def tried(engine: str, folder: Path, *words: str) -> list[dict[str, Any]]:
    """What the suite has seen, in a process of its own; fails with what it says is wrong."""
    output = folder / "seen.json"
    command = [sys.executable, "-m", "conformance", "--engine", engine, "--output", str(output), *words]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(output.read_text())["outcomes"]
    return found


@pytest.mark.slow
def test_a_sample_of_all_that_keras_exports_is_trained_as_keras_trains_it(tmp_path: Path) -> None:
    found = tried("tensorflow", tmp_path, "--every", str(SAMPLE))
    assert len(found) > 20
    assert {"packed"} <= {one["how"] for one in found} <= {"packed", "alone", "fit", "refused"}


def test_every_argument_that_keras_has_has_a_value_to_be_tried_with() -> None:
    every = [entry for module in MODULES for entry in exports.entries(module)]
    assert len(every) > 200
    for entry in every:
        others(entry)


def test_a_new_argument_of_keras_is_told() -> None:
    def grown(x: Any, flavour: Any = None) -> Any:
        return x

    with pytest.raises(UnknownArgumentError, match=r"Keras has grown activations.grown\(flavour=None\): add another"):
        others(Entry("activations", "grown", (), grown))


def test_a_new_name_of_keras_is_tried_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras
    from conformance import cases

    class Grown(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, y: Any, z: Any) -> Any:
            return x + y + z

    entry = Entry("layers", "Grown", (), Grown)
    monkeypatch.setattr(cases, "entries", lambda _: [entry])
    monkeypatch.setattr(keras.layers, "Grown", Grown, raising=False)
    plan = cases.plan(lambda *_: "packed", ["layers"])
    assert plan.cases == []
    assert [told.partition(" (")[0] for told in plan.unknown] == [
        "layers.Grown: Keras has grown layers.Grown: add how to build it"
    ]


def test_names_that_are_not_tried_exist_and_say_why() -> None:
    left_out = exports.left_out()
    assert "layers.Wrapper" in left_out
    assert all(left_out.values())
