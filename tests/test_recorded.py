"""The config in a run's folder, before a run is built from it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fashion_sweep.config import recorded
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.run_dir import RunDir

GROUP = {"_target_": "a.b"}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"data": None}, "config.data is None, expected a group with a _target_"),
        ({"model": {"_target_": 1}}, "config.model is {'_target_': 1}, expected a group with a _target_"),
        ({"data": GROUP | {"limit": [1]}}, "config.data.limit is [1], expected a whole number"),
        ({"data": GROUP | {"validation_fraction": None}}, "config.data.validation_fraction is None, expected a number"),
        ({"epochs": None}, "config.epochs is None, expected a whole number"),
        ({"seed": "0"}, "config.seed is '0', expected a whole number"),
    ],
)
def test_a_config_that_no_run_is_built_from(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    valid = dict.fromkeys(("data", "model", "trainer"), GROUP) | {"epochs": 2, "seed": None}
    recorded.check(RunDir(tmp_path), valid)
    with pytest.raises(FolderError) as error:
        recorded.check(RunDir(tmp_path), valid | changed)
    assert str(error.value) == f"{tmp_path / 'run.json'}: {problem}"
