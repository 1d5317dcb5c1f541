"""Whole epochs of a pack of runs as one program: one step of one run, looped over batches and mapped over runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from fashion_sweep.training.engines.jax.member import JaxMember, State
from fashion_sweep.training.engines.jax.traced import Traced


@dataclass(frozen=True)
class Functions:
    """Compiled functions of R runs; every argument but the data has a first axis of R, unless R is 1."""

    train: Any  # jax.jit of _Steps.train, and of the other
    validate: Any


def compiled(member: JaxMember, runs: int) -> Functions:
    """The functions of ``runs`` runs with the key of this one."""
    one = _Steps(member)
    if runs == 1:
        return Functions(jax.jit(one.train), jax.jit(one.validate))
    train = jax.vmap(one.train, in_axes=(0, 0, (0, None, 0, 0), (0, 0), None))
    validate = jax.vmap(one.validate, in_axes=(0, 0, None))
    return Functions(jax.jit(train, donate_argnums=0), jax.jit(validate, donate_argnums=0))


class _Steps:
    """The epoch of one run, of pure functions."""

    def __init__(self, member: JaxMember) -> None:
        self._size = member.run.batch_size
        traces = member.traces
        self._traced, self._reset, self._train, self._test = traces.every, traces.reset, traces.train, traces.test

    def train(self, state: State, numbers: Sequence[Any], noise: Any, order: Any, data: Any) -> Any:
        """numbers: the member's; noise: ``StepNoise`` of the first step; order: the images of whole batches, int
        [S, B], and what is left over, int [N - S * B]; data: images, labels and divisor. Returns state and logs.
        """
        call = self._calls(numbers)
        seed, first, *masks = noise
        whole, rest = order
        x, y, divisor = data

        def step(traced: Traced, state: Any, at: Any) -> Any:
            images, number = at
            return call(traced, state, _scaled(x[images], divisor), y[images], (seed, first + number, *masks))

        batches = whole, jnp.arange(len(whole), dtype=jnp.uint32)
        return _epoch(step, self._train, (*state[:3], call(self._reset)), batches, (rest, jnp.uint32(len(whole))))

    def validate(self, state: State, numbers: Sequence[Any], data: Any) -> Any:
        """data: images [M, ...], labels and divisor; in batches of the same size as in training, as in model.fit."""
        call = self._calls(numbers)
        trainable, others, optimizer, _ = state
        (*arrays, divisor), size, count = data, self._size, len(data[1])
        rest = count % size

        def step(traced: Traced, state: Any, at: Any) -> Any:
            length = size if traced is self._test[0] else rest
            x, y = (jax.lax.dynamic_slice_in_dim(each, at, length) for each in arrays)
            return call(traced, state, _scaled(x, divisor), y)

        starts = jnp.arange(count // size, dtype=jnp.int32) * size
        found, logs = _epoch(step, self._test, (trainable, others, call(self._reset)), starts, count - rest)
        trainable, others, metrics = found
        return (trainable, others, optimizer, metrics), logs

    def _calls(self, numbers: Sequence[Any]) -> Callable[..., Any]:
        """How to call a traced function with the numbers of the run."""
        parts: dict[int, Sequence[Any]] = {}
        for traced in self._traced:
            parts[id(traced)], numbers = numbers[: len(traced.numbers)], numbers[len(traced.numbers) :]
        return lambda traced, *arguments: traced.call(parts[id(traced)], *arguments)


def _scaled(x: Any, divisor: Any) -> Any:
    return x.astype(jnp.float32) / divisor


def _epoch(step: Callable[..., Any], functions: Sequence[Traced | None], state: Any, batches: Any, rest: Any) -> Any:
    """State and last logs after a step on each of the batches, and one on the rest.

    step: (function, state, batch) -> logs, state; functions: for whole batches and for the rest, None where there is
    none.
    """
    logs: Any = None

    def stepped(traced: Traced, state: Any, batch: Any) -> Any:
        logs, state = step(traced, state, batch)
        return tuple(state), logs

    whole, last = functions
    if whole is not None:
        start = state, _zeros(whole.result[0])
        (state, logs), _ = jax.lax.scan(lambda carry, each: (stepped(whole, carry[0], each), None), start, batches)
    return (state, logs) if last is None else stepped(last, state, rest)


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), shapes)
