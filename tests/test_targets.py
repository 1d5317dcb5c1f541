from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fashion_sweep.config import targets


@pytest.mark.parametrize(
    "name",
    [
        "keras.optimizers.Adam",
        "keras.optimizers.schedules.CosineDecay",
        "keras.callbacks.EarlyStopping",
        "keras.applications.MobileNetV2",
        "fashion_sweep.models.mlp",
        "fashion_sweep.training.callbacks.ModelCheckpoint",
        "tensorflow.keras.optimizers.Adam",
        "os.path.join",
        "json.loads",
        "math.sqrt",
        "keras.optimizers.Adam.from_config",
    ],
)
def test_names_that_exist(name: str) -> None:
    assert targets.missing(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nosuchpackage.f", "there is no package 'nosuchpackage' in this Python; is its folder on PYTHONPATH?"),
        (
            "keras.optimizers.Adamm",
            "there is no 'Adamm' in keras.optimizers; did you mean keras.optimizers.Adam?",
        ),
        (
            "fashion_sweep.modles.mlp",
            "there is no 'modles' in fashion_sweep; did you mean fashion_sweep.models?",
        ),
        ("mlp", "'mlp' is not a dotted name; expected package.module.function"),
        ("fashion_sweep.models.qqq", "there is no 'qqq' in fashion_sweep.models"),
    ],
)
def test_names_that_do_not_exist(name: str, why: str) -> None:
    assert targets.missing(name) == why


def test_looking_a_name_up_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "explosive"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "nets.py").write_text(
        "raise SystemExit('imported')\n"
        "def plain(): pass\n"
        "if True:\n    def conditional(): pass\n"
        "try:\n    import json as aliased\nexcept ImportError:\n    fallback = None\n"
    )
    (package / "dynamic.py").write_text("def __getattr__(name): return 1\n")
    (package / "broken.py").write_text("def (:")
    (package / "star.py").write_text("from os.path import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("plain", "conditional", "aliased", "fallback"):
        assert targets.missing(f"explosive.nets.{name}") is None
    assert targets.missing("explosive.nets.plian") == (
        "there is no 'plian' in explosive.nets; did you mean explosive.nets.plain?"
    )
    for module in ("dynamic", "broken", "star"):  # names that the source does not show are left to the call
        assert targets.missing(f"explosive.{module}.anything") is None
    assert not any(name.startswith("explosive") for name in sys.modules)


def offered(*, shape: Any, units: int = 3) -> tuple[Any, int]:
    return shape, units


def test_call_passes_offered_arguments_that_are_accepted_and_not_configured() -> None:
    here = f"{__name__}.offered"
    assert targets.call({"_target_": here}, shape=(2, 2), other=1) == ((2, 2), 3)
    assert targets.call({"_target_": here, "shape": [5], "units": 7}, shape=(2, 2)) == ([5], 7)


def test_call_raises_what_the_function_raises() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        targets.call({"_target_": f"{__name__}.offered", "shape": 1, "depth": 2})
