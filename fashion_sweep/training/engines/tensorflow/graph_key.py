"""Whether two graphs compute the same: a digest of everything in a graph but the names of its nodes and functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

UNCOUNTED = ("_gradient_op_type", "_class")
"""Attributes of nodes that only name: a gradient that has been taken already, and nodes on the same device."""


def graph_key(graph: Any) -> str:
    """Equal only for graphs of equal operations, constants and connections, in the same order.

    graph: tf.Graph, with the functions it calls. TensorFlow seldom takes the gradients of parallel branches in another
    order; such a graph is compiled anew.
    """
    return _Digest(graph.as_graph_def()).text


class _Digest:
    def __init__(self, definition: Any) -> None:
        self._library = {function.signature.name: function for function in definition.library.function}
        self._numbers: dict[str, str] = {}  # function -> its name here, in the order of their first use
        self._digest = hashlib.sha256()
        self._add_nodes(definition.node, {})
        self.text = self._digest.hexdigest()

    def _add_function(self, name: str) -> str:
        """Add a function where it is new; its name here."""
        if name in self._numbers:
            return self._numbers[name]
        self._numbers[name] = f"f{len(self._numbers)}"
        function = self._library[name]
        arguments = {argument.name: f"a{number}" for number, argument in enumerate(function.signature.input_arg)}
        self._add("function", [each.type for each in function.signature.input_arg])
        names = self._add_nodes(function.node_def, arguments)
        results = [_renamed(function.ret[each.name], names) for each in function.signature.output_arg]
        self._add(results, sorted(_renamed(node, names) for node in function.control_ret.values()))
        return self._numbers[name]

    def _add_nodes(self, nodes: Any, names: Mapping[str, str]) -> Mapping[str, str]:
        """Add nodes. names: of arguments, name -> name here. Returns them with those of the nodes."""
        names = {**names, **{node.name: f"n{number}" for number, node in enumerate(nodes)}}
        for node in nodes:
            self._add(node.op, node.device, [_renamed(each, names) for each in node.input])
            for key in sorted(set(node.attr) - set(UNCOUNTED)):
                self._add(key, self._attribute(node.attr[key]))
        return names

    def _attribute(self, value: Any) -> bytes:
        """An attribute, with names of functions replaced by those here."""
        for function in _functions(value):
            function.name = self._add_function(function.name) if function.name in self._library else function.name
        return bytes(value.SerializeToString(deterministic=True))

    def _add(self, *parts: Any) -> None:
        self._digest.update(repr(parts).encode())


def _functions(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("func"):
        yield attribute.func
    yield from attribute.list.func


def _renamed(reference: str, names: Mapping[str, str]) -> str:
    """``name``, ``name:output``, ``name:output:1`` or ``^name`` with the name replaced."""
    name, colon, output = reference.removeprefix("^").partition(":")
    return f"{'^' if reference.startswith('^') else ''}{names[name]}{colon}{output}"
