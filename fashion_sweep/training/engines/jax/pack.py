"""The runs of a pack with their state: loaded from their models, stacked, and stored there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fashion_sweep.training.engines.base import Arrays, Logs, batches, numbers
from fashion_sweep.training.engines.dropout import StepNoise
from fashion_sweep.training.engines.jax.member import JaxMember
from fashion_sweep.training.engines.jax.program import Functions


class JaxProgram:
    """See ``engines.base.Program``. For one run, nothing is stacked."""

    def __init__(self, members: Sequence[JaxMember], functions: Functions, size: int) -> None:
        """size: rows, of which the last are idle."""
        self.size, self._functions = size, functions
        self._members = [*members, *[members[-1]] * (size - len(members))]
        self._given = [self._rows(np.stack(each)) for each in zip(*(member.numbers for member in members), strict=True)]
        self._variables = [jax.tree.leaves(member.variables, is_leaf=_is_variable) for member in members]
        self._tree = jax.tree.structure(members[0].variables, is_leaf=_is_variable)
        self._stored: list[list[Any]] = []  # what the models had last
        self._state: list[Any] = []  # of all rows

    def trace(self, arrays: Arrays) -> None:
        """Trace what is compiled at the first calls, in which JAX finds this. Raises what JAX raises.

        There are operations that it cannot map over runs.
        """
        self._load()
        state, orders = jax.tree.unflatten(self._tree, self._state), np.zeros((self.size, len(arrays.y_train)), int)
        jax.eval_shape(self._functions.train, state, *self._training(arrays, orders, 0))
        jax.eval_shape(self._functions.validate, state, self._given, arrays.validation)

    def train(self, arrays: Arrays, orders: np.ndarray, first_step: int, live: Sequence[int]) -> list[Logs]:
        """See ``engines.base.Program.train``."""
        return self._run(live, self._functions.train, *self._training(arrays, orders, first_step))

    def _training(self, arrays: Arrays, orders: np.ndarray, first_step: int) -> tuple[Any, ...]:
        """The arguments of ``Functions.train`` after the state."""
        whole, rest = (self._rows(each) for each in batches(orders, self._members[0].run.batch_size))
        return self._given, self._noise(first_step), (whole, rest), (arrays.x_train, arrays.y_train, arrays.divisor)

    def validate(self, arrays: Arrays, live: Sequence[int]) -> list[Logs]:
        """See ``engines.base.Program.validate``."""
        return self._run(live, self._functions.validate, self._given, arrays.validation)

    def _run(self, live: Sequence[int], function: Any, *arguments: Any) -> list[Logs]:
        self._load()
        state, logs = function(jax.tree.unflatten(self._tree, self._state), *arguments)
        self._state = jax.tree.leaves(state)
        for row in live:
            self._store(row)
        return self._numbers(jax.device_get(logs))

    def _numbers(self, logs: Any) -> list[Logs]:
        if self.size == 1:
            return [numbers(logs)]
        return [numbers(_of_row(logs, row)) for row in range(self.size)]

    def _noise(self, first_step: int) -> tuple[Any, ...]:
        """``StepNoise`` of the first step."""
        each = [StepNoise.of(member.run.seed, first_step, member.dropouts.rates) for member in self._members]
        rows = StepNoise(*(self._rows(np.stack(part)) for part in zip(*each, strict=True)))
        return tuple(rows._replace(step=each[0].step))

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """An array [R, ...] as the functions take it: idle rows are copies of the last."""
        if self.size == 1:
            return np.asarray(array[0])
        return np.concatenate([array, *[array[-1:]] * (self.size - len(array))])

    def _load(self) -> None:
        """What callbacks have changed in the models since ``_store``, or everything."""
        now = [[variable.value for variable in each] for each in self._variables]
        if self.size == 1:
            self._state = now[0]
        elif not self._state:
            every = (self._rows(np.stack(jax.device_get(each))) for each in zip(*now, strict=True))
            self._state = list(map(jnp.asarray, every))
        else:
            for row, values in enumerate(now):
                for index, value in enumerate(values):
                    if value is not self._stored[row][index]:
                        self._state[index] = self._state[index].at[row].set(value)
        self._stored = now

    def _store(self, row: int) -> None:
        """The state of one run, to its own model."""
        values = self._state if self.size == 1 else _row_of(self._state, row)
        for variable, value in zip(self._variables[row], values, strict=True):
            variable.assign(value)
        self._stored[row] = [variable.value for variable in self._variables[row]]


def _of_row(logs: Any, row: int) -> Any:
    return jax.tree.map(lambda each: each[row], logs)


def _is_variable(node: Any) -> bool:
    return not isinstance(node, (list, tuple))


@jax.jit
def _row_of(stacked: Sequence[Any], row: Any) -> list[Any]:
    return [each[row] for each in stacked]
