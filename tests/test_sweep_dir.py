from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.errors import FolderError
from fashion_sweep.storage import identity
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_sweep_lists_planned_runs_in_order_and_then_the_others(tmp_path: Path) -> None:
    sweep = SweepDir(tmp_path)
    assert sweep.read_plan() == ([], [])
    sweep.write_plan("python x", [PlannedRun("b", ["seed=1"], "11"), PlannedRun("a", ["seed=0"], "00")])
    for name in ("z", "a", "c"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        RunDir(tmp_path / name).write_record(RunRecord(run=name, identity=""))
    (tmp_path / "report").mkdir()
    assert [run.path.name for run in sweep.run_dirs()] == ["b", "a", "c", "z"]
    assert sweep.read_plan()[0] == ["python x"]
    sweep.plan.write_text("{}")
    with pytest.raises(FolderError, match=r"sweep\.json: cannot be read as a sweep's plan"):
        sweep.read_plan()


REQUEST = {"overrides": ["seed=0,1"], "config_name": "config", "config_path": "/c", "config_dir": None, "started": None}


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({}, "KeyError"),
        ({"requests": []}, "KeyError"),
        ({"requests": {}}, "KeyError"),
        ({"request": {}}, "a request without overrides"),
        ({"requests": [REQUEST], "request": {}}, "a request without overrides"),
        ({"requests": [REQUEST, []]}, "a request without overrides"),
        ({"requests": [REQUEST | {"overrides": None}]}, "overrides is None, expected list[str]"),
        ({"requests": [REQUEST | {"overrides": [1]}]}, "overrides is [1], expected list[str]"),
        ({"requests": [REQUEST | {"config_name": 5}]}, "config_name is 5, expected str | None"),
        ({"requests": [REQUEST | {"config_path": ["/"]}]}, "config_path is ['/'], expected str | None"),
        ({"requests": [REQUEST | {"started": "soon"}]}, "Invalid isoformat string: 'soon'"),
    ],
)
def test_what_a_sweep_was_asked_for_is_checked(tmp_path: Path, plan: dict[str, Any], problem: str) -> None:
    SweepDir(tmp_path).plan.write_text(json.dumps(plan))
    with pytest.raises(FolderError) as error:
        SweepDir(tmp_path).read_requests()
    assert str(error.value) == (
        f"{tmp_path}: sweep.json does not record the command that started the sweep ({problem}); "
        f"run that command again with hydra.sweep.dir={tmp_path}"
    )


def test_requests_of_both_kinds_are_read(tmp_path: Path) -> None:
    SweepDir(tmp_path).plan.write_text(json.dumps({"request": REQUEST | {"other": 1}}))
    assert SweepDir(tmp_path).read_requests() == [REQUEST]
    SweepDir(tmp_path).plan.write_text(json.dumps({"requests": [REQUEST, REQUEST]}))
    assert SweepDir(tmp_path).read_requests() == [REQUEST, REQUEST]


@given(config=st.dictionaries(st.text(string.ascii_lowercase, min_size=1), JSON, max_size=4), fingerprint=st.text())
def test_identity_depends_on_the_values_and_not_on_their_order(config: dict[str, Any], fingerprint: str) -> None:
    backwards = dict(reversed(list(config.items())))
    assert identity.identity(config, fingerprint) == identity.identity(backwards, fingerprint)
    assert len(identity.identity(config, fingerprint)) == 64
    assert identity.identity(config, fingerprint) != identity.identity(config | {"NEW": 1}, fingerprint)
    assert identity.identity(config, fingerprint) != identity.identity(config, fingerprint + "x")


def test_identity_ignores_where_and_how_to_train() -> None:
    config = {"data": {"path": "a", "limit": 1}, "trainer": {"_target_": "fit", "jit_compile": True}}
    other = {"data": {"path": "b", "limit": 1}, "trainer": {"_target_": "fit", "jit_compile": False}}
    different = {"data": {"path": "a", "limit": 2}, "trainer": {"_target_": "fit", "jit_compile": True}}
    assert identity.identity(config, "") == identity.identity(other, "")
    assert identity.identity(config, "") != identity.identity(different, "")


def test_a_run_name_is_readable() -> None:
    values = {"optimizer": "sgd", "model.dropout": 0.3, "model.hidden_units": [300, 100]}
    assert identity.run_name(values, "1a2b3c4d5e") == "optimizer-sgd_dropout-0.3_hidden_units-300-100_1a2b3c4d"
    assert identity.run_name({}, "1a2b3c4d5e") == "defaults_1a2b3c4d"


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.lists(st.text(), max_size=2), max_size=6))
def test_a_run_name_stays_inside_its_folder(values: dict[str, float | str | list[str]]) -> None:
    name = identity.run_name(values, "0123456789abcdef")
    assert set(name) <= set(string.ascii_letters + string.digits + ".+-_")
    assert name.endswith("_01234567")
    assert not name.startswith(".")
    assert len(name) <= 89
