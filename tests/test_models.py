from __future__ import annotations

import keras
import numpy as np
import pytest
from fixture_types import Compose

from fashion_sweep.errors import ConfigError
from fashion_sweep.models import build, optimizers
from fashion_sweep.planning import run_spec


def built(composed: Compose, *overrides: str, shape: tuple[int, ...] = (28, 28), classes: int = 10) -> keras.Model:
    return build.build_model(run_spec.resolved(composed(*overrides))["model"], shape, classes)


@pytest.mark.parametrize(
    ("overrides", "parameters"),
    [
        (["model=softmax"], 7_850),
        (["model=sigmoid"], 79_510),
        (["model=mlp"], 79_510),
        (["model=mlp", "model.hidden_units=[300,100]"], 266_610),
        (["model=mlp", "model.dropout=0.3"], 79_510),
        (["model=cnn"], 333_526),
    ],
)
def test_parameter_counts_on_fashion_mnist(composed: Compose, overrides: list[str], parameters: int) -> None:
    assert built(composed, *overrides).count_params() == parameters


def layers(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_a_dropout_layer_follows_each_hidden_layer_unless_the_rate_is_zero(composed: Compose) -> None:
    assert layers(built(composed, "model.dropout=0")) == ["Flatten", "Dense", "Dense"]
    deep = built(composed, "model.hidden_units=[30,20]", "model.dropout=0.25")
    assert layers(deep) == ["Flatten", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in deep.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]


def test_activations_come_from_the_config(composed: Compose) -> None:
    assert [built(composed, f"model={name}").layers[1].activation.__name__ for name in ("mlp", "sigmoid")] == [
        "relu",
        "sigmoid",
    ]
    assert built(composed, "model.activation=tanh").layers[1].activation.__name__ == "tanh"


@pytest.mark.parametrize("name", ["softmax", "mlp", "sigmoid", "cnn"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 10, 3)])
def test_every_model_takes_grey_and_colour_images(composed: Compose, name: str, shape: tuple[int, ...]) -> None:
    model = built(composed, f"model={name}", shape=shape, classes=3)
    rows = model.predict(np.random.default_rng(0).random((5, *shape), "float32"), verbose=0)
    assert rows.shape == (5, 3)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


def test_a_shape_that_does_not_fit_is_reported_in_one_line(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"^model fashion_sweep.models.cnn cannot be built: ValueError: .*") as caught:
        built(composed, "model=cnn", shape=(2, 2))
    assert "\n" not in str(caught.value)


OPTIMIZERS = {
    "sgd": "SGD",
    "momentum": "SGD",
    "nesterov": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
}


@pytest.mark.parametrize(("name", "kind"), OPTIMIZERS.items())
def test_optimizers_have_the_learning_rate_and_other_arguments_of_the_config(
    composed: Compose, name: str, kind: str
) -> None:
    config = run_spec.resolved(composed(f"optimizer={name}", "optimizer.learning_rate=0.25", "optimizer.clipnorm=2"))
    optimizer = optimizers.build_optimizer(config, 10)
    assert type(optimizer).__name__ == kind
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.clipnorm == 2


def test_momentum_and_nesterov_have_their_own_defaults(composed: Compose) -> None:
    made = [
        optimizers.build_optimizer(run_spec.resolved(composed(f"optimizer={name}")), 1)
        for name in ("momentum", "nesterov")
    ]
    assert [(sgd.momentum, sgd.nesterov) for sgd in made] == [(0.9, False), (0.9, True)]


def test_a_schedule_begins_at_the_learning_rate_and_spans_the_run(composed: Compose) -> None:
    config = run_spec.resolved(composed("schedule=cosine", "optimizer.learning_rate=0.5"))
    schedule = optimizers.build_optimizer(config, 200)._learning_rate
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 100, 200)], [0.5, 0.25, 0], atol=1e-7)
    config = run_spec.resolved(
        composed("schedule=exponential", "schedule.decay_steps=10", "optimizer.learning_rate=0.5")
    )
    schedule = optimizers.build_optimizer(config, 200)._learning_rate
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 10, 20)], [0.5, 0.05, 0.005], rtol=1e-6)
