import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis.settings import Settings, label, parse_overrides, plain, swept_keys
from fashion_sweep.storage.plain_text import clean


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.hidden_units=[300,100]", {"model.hidden_units": "[300,100]"}),
        ("+optimizer.clipnorm=1", {"optimizer.clipnorm": 1}),
        ("++x=1e-3", {"x": 0.001}),
        ("~y", {}),
        ("~y=3", {}),
        ("callbacks=early_stopping", {"callbacks": "early_stopping"}),
        ("optimizer@foo=adam", {"optimizer@foo": "adam"}),
        ("name='a=b'", {"name": "a=b"}),
        ("x=null", {"x": None}),
        ("x=true", {"x": True}),
        ("x=", {"x": ""}),
    ],
)
def test_an_override_is_parsed_as_hydra_takes_it(override: str, expected: Any) -> None:
    assert parse_overrides([override]) == expected


def test_a_later_deletion_removes_a_key() -> None:
    assert parse_overrides(["a=1", "b=2", "~a"]) == {"b": 2}


def test_a_value_comes_from_the_choices_then_the_config_then_the_overrides() -> None:
    run = Settings(
        ["model=mlp", "model.units=7", "late=3"],
        {"model": "cnn"},
        {"model": {"units": 5, "sizes": [1, 2]}, "late": None},
    )
    assert [run.value(key) for key in ("model", "model.units", "model.sizes", "late", "none.such")] == [
        "cnn",
        5,
        "[1,2]",
        3,
        None,
    ]


def test_a_group_without_a_choice_has_no_value_of_its_own() -> None:
    assert Settings(["model=mlp"], {}, {"model": {"units": 5}}).value("model") == "mlp"


def test_a_schedule_is_abbreviated() -> None:
    schedule = {
        "_target_": "keras.optimizers.schedules.ExponentialDecay",
        "initial_learning_rate": 0.01,
        "decay_steps": 9,
    }
    run = Settings([], {}, {"optimizer": {"learning_rate": schedule}})
    assert run.value("optimizer.learning_rate") == "ExponentialDecay(initial_learning_rate=0.01, decay_steps=9)"


def test_swept_keys_differ_between_runs_and_are_not_factors() -> None:
    runs = [
        Settings(["optimizer=sgd", "batch_size=32", "epochs=3", "model.dropout=0", "hydra.job.num=1"]),
        Settings(["optimizer=adam", "batch_size=64", "epochs=3", "model.dropout=0.3", "hydra.job.num=2"]),
    ]
    assert swept_keys(runs) == ["batch_size"]


def test_an_override_that_only_some_runs_have_is_swept() -> None:
    runs = [Settings(["+optimizer.clipnorm=1"]), Settings([])]
    assert swept_keys(runs) == ["optimizer.clipnorm"]


def test_a_default_spelled_out_is_not_swept() -> None:
    config = {"batch_size": 32}
    assert swept_keys([Settings(["batch_size=32"], {}, config), Settings([], {}, config)]) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "none"), (float("nan"), "none"), (0.0, "0"), (0.3, "0.3"), (1e-05, "1e-05"), (100, "100"), ("nan", "nan")],
)
def test_a_label_has_no_more_digits_than_it_needs(value: float | str | None, expected: str) -> None:
    assert label(value) == expected


@given(st.text())
def test_clean_text_is_one_encodable_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode("utf-8").splitlines() in ([cleaned], [])
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in cleaned)
    assert clean(cleaned) == cleaned


def test_bidirectional_controls_are_removed() -> None:
    assert clean("a\u202eb\u2066c") == "a b c"


def test_deep_configs_are_cut() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    assert plain(deep) == "[" * 10 + "..." + "]" * 10


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_every_config_value_becomes_one_cell(value: Any) -> None:
    cell = plain(json.loads(json.dumps(value)))
    assert cell is None or isinstance(cell, (str, int, float, bool))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans())
def test_a_number_in_an_override_is_parsed_exactly(value: bool | float) -> None:
    assert parse_overrides([f"key={json.dumps(value)}"]) == {"key": value}
