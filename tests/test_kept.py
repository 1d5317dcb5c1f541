"""Which runs share a compiled program, and which have one of their own."""

from __future__ import annotations

import pytest

from fashion_sweep.run_dir import RunDir
from fashion_sweep.training import kept
from fashion_sweep.training.train import train

TINY = ("trainer=compiled", "model.hidden_units=[20]", "epochs=1", "save=none", "callbacks=none")


def first_loss(spec):
    return RunDir(spec.folder).read_history()[0]["loss"]


def test_a_grid_over_inputs_compiles_once(make_spec):
    kept.forget()
    grid = [(0.1, 0.1, 0.9, 1e-7), (0.01, 0.2, 0.9, 1e-3), (0.01, 0.9, 0.5, 1e-3)]
    names = ("optimizer.learning_rate", "model.dropout", "optimizer.beta_1", "optimizer.epsilon")
    specs = [
        make_spec(*TINY, *(f"{name}={value}" for name, value in zip(names, values, strict=True)), folder=str(number))
        for number, values in enumerate(grid)
    ]
    for spec in specs:
        train([spec])
    [program] = kept.programs.values()
    assert program._epoch._function.experimental_get_tracing_count() == 1
    assert len({first_loss(spec) for spec in specs}) == 3


def test_with_and_without_dropout_or_momentum_are_two_programs(make_spec):
    kept.forget()
    for number, rate in enumerate((0.3, 0)):
        train([make_spec(*TINY, f"model.dropout={rate}", folder=f"dropout{number}")])
    for number, momentum in enumerate((0, 0.5, 0.9)):
        train([make_spec(*TINY, "optimizer=sgd", f"optimizer.momentum={momentum}", folder=f"sgd{number}")])
    assert len(kept.programs) == 4


@pytest.mark.slow
def test_tensorflow_does_not_take_many_programs_for_one_that_is_traced_again_and_again(make_spec, caplog):
    kept.forget()
    for units in range(10, 17):
        train([make_spec(*TINY, f"model.hidden_units=[{units}]", folder=str(units))])
    assert len(kept.programs) == 7
    assert "retracing" not in caplog.text


def test_one_validation_serves_all_optimizers_of_a_model(make_spec):
    kept.forget()
    specs = [make_spec(*TINY, f"optimizer={name}", folder=name) for name in ("sgd", "adam")]
    for spec in specs:
        train([spec])
    assert len(kept.programs) == 2
    assert len(kept.validations) == 1
