"""What a function computes, as JAX traces it, so that functions can be compared and numbers in them become inputs.

A traced function is a list of primitive operations. Two functions are one program if their operations are the same.
Floats that Python code has put into them, such as an optimizer's momentum, may differ: they become inputs. They do so
whether or not another run has a different one, so that a run's results do not depend on the runs before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

INLINED = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
"""Operations that only call another list of operations: gradients have been taken, so custom rules have no use."""


class Traced:
    """A function of arrays, traced for the shapes and dtypes of its arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        """arguments: trees of arrays, or of anything that has shape and dtype."""
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        self._jaxpr, self._result = closed.jaxpr, jax.tree.structure(shape)
        self._constants = [np.asarray(each) for each in closed.consts]
        self.result = shape
        """The result's shapes and dtypes, as a tree."""
        text = _Text()
        text.add(closed.jaxpr, are_inputs=True)
        self.numbers = [*text.numbers, *filter(_are_floats, self._constants)]
        """Floats in the operations, and constant arrays of floats; in the order of ``call``."""
        self.text = "\n".join([*text.lines, *map(_described, self._constants)])
        """The operations without ``numbers``: equal for functions that are one but for these. Python functions among
        their parameters are named by their addresses, so compare it only while this lives.
        """
        self.is_comparable = "callback" not in self.text
        """Whether ``text`` says all; not if the function calls back to Python."""

    def call(self, numbers: Sequence[Any], *arguments: Any) -> Any:
        """The function with these numbers in place of its own."""
        arrays = sum(map(_are_floats, self._constants))
        floats, given = iter(numbers[: len(numbers) - arrays]), iter(numbers[len(numbers) - arrays :])
        constants = [next(given) if _are_floats(each) else each for each in self._constants]
        flat = _evaluate(self._jaxpr, constants, jax.tree.leaves(arguments), floats)
        return jax.tree.unflatten(self._result, flat)


class _Text:
    """Operations as text, with variables numbered in the order of their appearance."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: list[np.ndarray] = []
        self._names: dict[Any, int] = {}

    def add(self, jaxpr: Jaxpr, *, are_inputs: bool) -> None:
        """are_inputs: whether floats in the operations are left out and added to ``numbers``."""
        self.lines.append(f"of {[self._variable(each) for each in (*jaxpr.constvars, *jaxpr.invars)]}")
        for equation in jaxpr.eqns:
            operands = [self._operand(each, are_inputs=are_inputs) for each in equation.invars]
            inner = _inlined(equation)
            if inner is not None:
                self.lines.append(f"call {operands}{_constants(inner)}")
                self.add(inner.jaxpr, are_inputs=are_inputs)
            else:
                parameters = {key: self._parameter(value) for key, value in sorted(equation.params.items())}
                self.lines.append(f"{equation.primitive.name} {operands} {parameters}")
            self.lines.append(f"to {[self._variable(each) for each in equation.outvars]}")
        self.lines.append(f"returns {[self._operand(each, are_inputs=False) for each in jaxpr.outvars]}")

    def _variable(self, variable: Any) -> str:
        return f"{self._names.setdefault(variable, len(self._names))}:{variable.aval}"

    def _operand(self, operand: Any, *, are_inputs: bool) -> str:
        if not isinstance(operand, Literal):
            return self._variable(operand)
        if are_inputs and is_number(operand):
            self.numbers.append(np.asarray(operand.val, _type(operand).dtype))
            return f"number:{operand.aval}"
        return f"{operand.val!r}:{operand.aval}"

    def _parameter(self, value: Any) -> Any:
        """A parameter of an operation as text; loops and branches keep their numbers."""
        if isinstance(value, (list, tuple)):
            return [self._parameter(item) for item in value]
        if isinstance(value, (ClosedJaxpr, Jaxpr)):
            inner = _Text()
            inner.add(value.jaxpr if isinstance(value, ClosedJaxpr) else value, are_inputs=False)
            return [inner.lines, _constants(value)]
        return str(value)


def is_number(literal: Literal) -> bool:
    """Whether a literal is a float, other than those that sums and maxima start from.

    JAX cannot map some operations, such as a padding, over values of these.
    """
    kind = _type(literal)
    return kind.shape == () and _are_floats(kind) and abs(float(literal.val)) not in (0.0, float("inf"))


def _type(literal: Literal) -> Any:
    """Shape and dtype."""
    return literal.aval


def _inlined(equation: Any) -> ClosedJaxpr | None:
    if equation.primitive.name not in INLINED:
        return None
    return next(value for value in equation.params.values() if isinstance(value, ClosedJaxpr))


def _are_floats(array: Any) -> bool:
    return bool(jax.numpy.issubdtype(array.dtype, jax.numpy.floating))


def _described(constant: np.ndarray) -> str:
    """A constant array without its floats."""
    values = "" if _are_floats(constant) else hashlib.sha256(constant.tobytes()).hexdigest()
    return f"{constant.dtype}{constant.shape}{values}"


def _constants(closed: Any) -> list[Any]:
    """Constant arrays of inner operations, which are part of the text."""
    return [np.asarray(each).tolist() for each in getattr(closed, "consts", ())]


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any], floats: Iterator[Any]) -> list[Any]:
    """The results of operations, in the manner of JAX's own ``eval_jaxpr``. floats: in place of its literals."""
    known: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def value(operand: Any) -> Any:
        if not isinstance(operand, Literal):
            return known[operand]
        return jax.numpy.asarray(next(floats), _type(operand).dtype) if is_number(operand) else operand.val

    for equation in jaxpr.eqns:
        operands = [value(each) for each in equation.invars]
        inner = _inlined(equation)
        if inner is not None:
            results = _evaluate(inner.jaxpr, inner.consts, operands, floats)
        else:
            bind: Any = equation.primitive.bind
            found = bind(*operands, **equation.params)
            results = found if equation.primitive.multiple_results else [found]
        known.update(zip(equation.outvars, results, strict=True))
    return [each.val if isinstance(each, Literal) else known[each] for each in jaxpr.outvars]
