"""The runs of a pack with their state: loaded from their models, stacked, and given to them when they ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fashion_sweep.training.engines import keras_internals
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
        self._tree = jax.tree.structure(members[0].variables, is_leaf=_is_variable)
        each = [jax.tree.leaves(member.variables, is_leaf=_is_variable) for member in members]
        self._state = self._stacked([[variable.value for variable in variables] for variables in each])
        self._runs = [_Row(variables, self._state_of(row)) for row, variables in enumerate(each)]

    def trace(self, arrays: Arrays) -> None:
        """Trace what is compiled at the first calls, in which JAX finds this. Raises what JAX raises.

        There are operations that it cannot map over runs.
        """
        state = jax.tree.unflatten(self._tree, self._state)
        orders = np.zeros((self.size, len(arrays.y_train)), "int32")
        jax.eval_shape(self._functions.train, state, *self._training(arrays, orders, 0))
        jax.eval_shape(self._functions.validate, state, self._given, arrays.validation)

    def require_memory(self, arrays: Arrays) -> None:
        """Raise MemoryError where the programs, which are compiled for it, need more memory than the device has free.

        So a pack that is too large is divided before it is trained, not after an epoch of it failed.
        """
        free = free_bytes()
        if free is None:
            return
        state = jax.tree.unflatten(self._tree, self._state)
        training = self._training(arrays, np.zeros((self.size, len(arrays.y_train)), "int32"), 0)
        held = sum(each.nbytes for each in (*self._state, *jax.tree.leaves(arrays.validation), *training[-1]))
        for function, arguments in (
            (self._functions.train, training),
            (self._functions.validate, (self._given, arrays.validation)),
        ):
            report = function.lower(state, *arguments).compile().memory_analysis()
            if report is None:
                continue
            new = report.argument_size_in_bytes + report.output_size_in_bytes - report.alias_size_in_bytes - held
            needed = report.temp_size_in_bytes + max(0, new)
            if needed > free:
                raise MemoryError(f"a pack of {self.size} needs {needed:,} bytes, and {free:,} are free on the device")

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
        self._load(set(live))
        state, logs = function(jax.tree.unflatten(self._tree, self._state), *arguments)
        self._state = jax.tree.leaves(state)
        for row in live:
            self._runs[row].renew()
        return self._numbers(jax.device_get(logs))

    def _numbers(self, logs: Any) -> list[Logs]:
        if self.size == 1:
            return [numbers(logs)]
        return [numbers(_of_row(logs, row)) for row in range(self.size)]

    def _noise(self, first_step: int) -> tuple[Any, ...]:
        """``StepNoise`` of the first step."""
        each = [StepNoise.of(member.run.seed, first_step, member.rates) for member in self._members]
        rows = StepNoise(*(self._rows(np.stack(part)) for part in zip(*each, strict=True)))
        return tuple(rows._replace(step=each[0].step))

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """An array [R, ...] as the functions take it: idle rows are copies of the last."""
        if self.size == 1:
            return np.asarray(array[0])
        return np.concatenate([array, *[array[-1:]] * (self.size - len(array))])

    def _stacked(self, values: Sequence[Sequence[Any]]) -> list[Any]:
        """The state of all rows. values: of each run."""
        if self.size == 1:
            return list(values[0])
        every = (self._rows(np.stack(jax.device_get(each))) for each in zip(*values, strict=True))
        return list(map(jnp.asarray, every))

    def _state_of(self, row: int) -> Callable[[], list[Any]]:
        """What gives the state of a run as it is when it is called."""
        return lambda: list(self._state) if self.size == 1 else _row_of(self._state, row)

    def _load(self, live: set[int]) -> None:
        """What was assigned to variables since the last call. Models of runs that have ended keep what they have."""
        for row, run in enumerate(self._runs):
            if row not in live:
                run.settle()
            elif run.assigned:
                for index, value in run.assigned.items():
                    self._state[index] = value if self.size == 1 else self._state[index].at[row].set(value)


class _Row:
    """The values of a run's variables: its row of the state, but for what was assigned since.

    Reading them from the device costs about as much as training a small network for an epoch, and few callbacks look.
    """

    def __init__(self, variables: Sequence[Any], read: Callable[[], list[Any]]) -> None:
        """read: gives the values of the variables in the state."""
        self.assigned: dict[int, Any] = {}
        self._count, self._read = len(variables), read
        self._known: list[Any] | None = None  # what was read since the state has changed
        for index, variable in enumerate(variables):
            keras_internals.keep_value(variable, self, index)

    def get(self, index: int) -> Any:
        """See ``keras_internals.Values``."""
        if index in self.assigned:
            return self.assigned[index]
        if self._known is None:
            self._known = self._read()
        return self._known[index]

    def set(self, index: int, value: Any) -> None:
        """See ``keras_internals.Values``."""
        self.assigned[index] = value

    def renew(self) -> None:
        """Forget what was read and assigned: the state is new, and made of it."""
        self.assigned, self._known = {}, None

    def settle(self) -> None:
        """Keep the values that there are now, whatever becomes of the state."""
        if len(self.assigned) < self._count:
            self.assigned = {index: self.get(index) for index in range(self._count)}


def free_bytes() -> int | None:
    """Memory of the device that this process may still take; None where that is not known, as on CPUs."""
    found = jax.local_devices()[0].memory_stats()
    return None if not found or "bytes_limit" not in found else int(found["bytes_limit"] - found["bytes_in_use"])


def _of_row(logs: Any, row: int) -> Any:
    return jax.tree.map(lambda each: each[row], logs)


def _is_variable(node: Any) -> bool:
    return not isinstance(node, (list, tuple))


@jax.jit
def _row_of(stacked: Sequence[Any], row: Any) -> list[Any]:
    return [each[row] for each in stacked]
