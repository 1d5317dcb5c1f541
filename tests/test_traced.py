"""What JAX traces: numbers in a function are found and replaced, and unlike functions have unlike texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_sweep.training.engines.jax.traced import Traced

X = jnp.linspace(-2, 2, 6, dtype="float32").reshape(2, 3)
FLOATS = st.floats(-100, 100, width=32, allow_subnormal=False)
INPUTS = FLOATS.filter(bool)  # 0 stays in the text
Function = Callable[..., Any]


def values(traced: Traced) -> list[float]:
    """The scalars among the numbers."""
    return [float(number) for number in traced.numbers if number.shape == ()]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def scaled(factor: float, offset: float) -> Function:
    return lambda x: {"y": jnp.tanh(x * factor) + offset, "z": (x - offset, x / factor)}


@settings(deadline=None, max_examples=30)
@given(INPUTS, INPUTS, INPUTS, INPUTS)
def test_numbers_of_a_function_are_replaced_by_those_of_another(a: float, b: float, c: float, d: float) -> None:
    one, other = (Traced(scaled(*each), X) for each in ((a, b), (c, d)))
    assert one.text == other.text
    assert same(one.call(one.numbers, X), one.call(list(map(jnp.asarray, one.numbers)), X))
    assert same(one.call(other.numbers, X), other.call(other.numbers, X))
    assert same(other.call(one.numbers, X), scaled(a, b)(X))


def with_custom_rules(rate: float, level: float) -> Function:
    """Numbers in functions that JAX calls: ``relu`` has a gradient of its own, ``where`` is compiled by itself."""

    def loss(x: Any) -> Any:
        y = jnp.where(x > 0, jax.nn.relu(x) * rate, x * level)
        return jnp.sum(jax.jit(lambda z: z * rate + jax.nn.softplus(z * level))(y))

    return jax.value_and_grad(loss)


def momentum_step(rate: float, momentum: float) -> Function:
    def step(x: Any) -> Any:
        velocity = momentum * x - rate * jnp.ones_like(x)
        return x + velocity * (1.0 - momentum)

    return step


def halves(one: float, other: float) -> Function:
    return lambda x: (x.astype(jnp.bfloat16) * one, x.astype(jnp.float16) + other)


def called_twice(rate: float, level: float) -> Function:
    inner = jax.jit(lambda x: jnp.tanh(x * rate))  # which JAX traces once
    return lambda x: inner(inner(x) + level)


NUMBERED = {
    "rules": with_custom_rules,
    "momentum": momentum_step,
    "halves": halves,
    "scaled": scaled,
    "twice": called_twice,
}


@pytest.mark.parametrize("name", NUMBERED)
def test_a_function_with_its_own_numbers_is_itself_and_with_anothers_is_that(name: str) -> None:
    make = NUMBERED[name]
    one, other = make(0.3, 0.7), make(0.1, 0.2)
    traced = Traced(one, X)
    assert traced.is_comparable
    assert traced.text == Traced(other, X).text
    assert same(traced.call(traced.numbers, X), one(X))
    assert same(traced.call(Traced(other, X).numbers, X), other(X))
    assert not same(one(X), other(X))
    compiled = jax.jit(traced.call)(Traced(other, X).numbers, X)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2), compiled, jax.jit(other)(X))


def test_each_float_is_a_number_in_its_own_dtype() -> None:
    traced = Traced(lambda x: (x * 0.5 + 0.25, x.astype(jnp.bfloat16) * 0.1), X)
    assert values(traced)[:2] == [0.5, 0.25]
    assert [str(number.dtype) for number in traced.numbers] == ["float32", "float32", "bfloat16"]


def test_whole_numbers_and_booleans_are_no_numbers_but_part_of_the_text() -> None:
    def shifted(by: int) -> Traced:
        return Traced(lambda x: x.astype(jnp.int32) + by, X)

    assert shifted(1).numbers == shifted(2).numbers == []
    assert shifted(1).text != shifted(2).text


@pytest.mark.parametrize("fill", [0.0, float("-inf"), float("inf")])
def test_what_sums_and_maxima_start_from_is_part_of_the_text(fill: float) -> None:
    def padded(value: float) -> Traced:
        return Traced(lambda x: jnp.pad(x, 1, constant_values=value) * 0.5, X)

    assert values(padded(fill)) == [0.5]
    assert padded(fill).text != padded(1.0).text
    assert same(padded(fill).call(padded(fill).numbers, X), jnp.pad(X, 1, constant_values=fill) * 0.5)


def test_constant_arrays_of_whole_numbers_are_part_of_the_text() -> None:
    def chosen(order: Any) -> Traced:
        return Traced(lambda x: x[:, np.asarray(order)] * 0.5, X)

    one = chosen([0, 2, 1])
    assert values(one) == [0.5]
    assert one.text == chosen([0, 2, 1]).text != chosen([2, 0, 1]).text
    assert same(one.call(one.numbers, X), X[:, jnp.asarray([0, 2, 1])] * 0.5)


def test_constant_arrays_of_floats_are_numbers() -> None:
    def weighted(weights: Any) -> Traced:
        return Traced(lambda x: x * weights + 0.5, X)

    one, other = weighted(X), weighted(X * 2)
    assert one.text == other.text
    assert sorted(number.shape for number in one.numbers) == [(), (2, 3)]
    assert same(one.call(other.numbers, X), other.call(other.numbers, X))
    assert weighted(X[0]).text != one.text


def looped(step: float, bound: int = 3) -> Function:
    return lambda x: jax.lax.fori_loop(0, bound, lambda _, y: y * step + 1.0, x)


def scanned(step: float) -> Function:
    return lambda x: jax.lax.scan(lambda carry, row: (carry * step + row, carry), x[0], x)


def branched(high: float) -> Function:
    return lambda x: jax.lax.cond(x[0, 0] > 0, lambda y: y * high, lambda y: y + 1.5, x)


@pytest.mark.parametrize("make", [looped, scanned, branched])
def test_numbers_in_loops_and_branches_stay_part_of_the_text(make: Callable[[float], Function]) -> None:
    one = Traced(make(0.5), X)
    assert 0.5 not in values(one)
    assert one.text != Traced(make(0.25), X).text
    assert one.text == Traced(make(0.5), X).text
    assert same(one.call(one.numbers, X), make(0.5)(X))


def loop_with_a_table(table: Any) -> Function:
    rows = jnp.asarray(table, jnp.float32)
    return lambda x: jax.lax.scan(lambda carry, row: (carry + rows * row.sum(), None), x[0], x)[0]


def test_arrays_in_loops_count_too() -> None:
    one, other = (Traced(loop_with_a_table(table), X) for table in ([1, 2, 3], [3, 2, 1]))
    assert one.text != other.text or not same(one.numbers, other.numbers)
    if one.text == other.text:  # JAX has made the array an input of the loop
        assert same(one.call(other.numbers, X), loop_with_a_table([3, 2, 1])(X))


UNLIKE: dict[str, Function] = {
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: x.sum(axis=0),
    "sum of columns": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(),
    "difference": lambda x: jnp.sin(x) - jnp.cos(x),
    "difference the other way round": lambda x: jnp.cos(x) - jnp.sin(x),
    "results": lambda x: (x, x + 1.0),
    "results the other way round": lambda x: (x + 1.0, x),
    "one result": lambda x: x + 1.0,
    "relu": jax.nn.relu,
    "clipped": lambda x: jnp.clip(x, 0.0, 6.0),
    "loop": looped(0.5),
    "longer loop": looped(0.5, 4),
    "half precision": lambda x: x.astype(jnp.bfloat16),
    "drawn": lambda x: x + jax.random.uniform(jax.random.key(0), x.shape),
    "drawn with another generator": lambda x: x + jax.random.uniform(jax.random.key(0, impl="rbg"), x.shape),
    "drawn with another seed": lambda x: x + jax.random.uniform(jax.random.key(1), x.shape),
}


def test_operations_that_differ_anywhere_have_texts_of_their_own() -> None:
    texts = {name: Traced(function, X).text for name, function in UNLIKE.items()}
    assert len(set(texts.values())) == len(UNLIKE)
    assert texts == {name: Traced(function, X).text for name, function in UNLIKE.items()}
    assert Traced(UNLIKE["sum"], X[:1]).text != texts["sum"]


def test_which_argument_is_used_where_counts() -> None:
    assert Traced(lambda x, y: x - y, X, X).text != Traced(lambda x, y: y - x, X, X).text
    assert Traced(lambda x, _: x, X, X).text != Traced(lambda _, y: y, X, X).text


def test_results_that_are_numbers_themselves_are_told_apart() -> None:
    one, other = (Traced(lambda x, n=number: (x, n), X) for number in (0.5, 0.25))
    assert one.text != other.text or not same(one.numbers, other.numbers)
    assert same(jax.jit(one.call)(one.numbers, X), (X, np.float32(0.5)))


def test_a_function_that_calls_back_to_python_is_not_comparable() -> None:
    called_back = Traced(lambda x: jax.pure_callback(lambda y: np.asarray(y) * 2, X, x), X)
    assert not called_back.is_comparable
    nested = Traced(jax.jit(lambda x: jax.pure_callback(lambda y: np.asarray(y) * 2, X, x)), X)
    assert not nested.is_comparable
    assert Traced(scaled(0.5, 0.25), X).is_comparable
