"""Redacts values of environment variables (``${oc.env:TOKEN}`` in a config) in everything that is written.

Such a value may be a password, and run folders are copied, published and attached to papers. Training gets the real
values; records, logs, folder names and tables get a placeholder. Some values cannot be hidden: the
seed, a learning rate that has a column in the history, and arguments of a model, which a saved model contains.
"""

from __future__ import annotations

import logging
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, ListConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from fashion_sweep.config import spellings
from fashion_sweep.errors import UserError

Path = tuple[Any, ...]
"""The keys and list indices that lead to a value."""

REDACTED = "<redacted>"
SHORTEST = 4
"""Least number of characters of a value that is searched for in text; shorter ones occur in too many words."""
COMMON = ("true", "false", "none", "null")
"""Values that are not secret and occur in ordinary text."""


def _read(node: Node) -> Any:
    """The value of a node that is in no config yet."""
    return DictConfig({"value": node})["value"]


_TYPES: Mapping[str, Callable[[str], Any]] = {
    "int": lambda text: _read(IntegerNode(text)),
    "float": lambda text: _read(FloatNode(text)),
    "bool": lambda text: _read(BooleanNode(text)),
}
"""Types that a placeholder names, and how OmegaConf parses them from text."""


@dataclass(frozen=True)
class Redaction:
    """The values of one config that must not be written."""

    paths: frozenset[Path] = frozenset()
    values: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: DictConfig) -> Redaction:
        """Find the values of a composed config that ``oc.env`` has a part in: see ``resolve``."""
        return resolve(config)[1]

    @classmethod
    def all(cls, redactions: Iterable[Redaction]) -> Redaction:
        """The values of several configs, to be found in texts."""
        return cls(values=frozenset[str]().union(*(each.values for each in redactions)))

    def in_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A resolved config with placeholders for values: ``<redacted>``, or with a type, ``<redacted float>``."""
        return {key: self._shown(value, (key,)) for key, value in config.items()}

    def in_text(self, text: str) -> str:
        """A text with a placeholder for each value."""
        return _pattern(self.values).sub(REDACTED, text) if self.values else text

    def without(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The entries whose text contains none of the values."""
        return {key: value for key, value in values.items() if not any(map(self._is_in, _leaves(value)))}

    def _is_in(self, value: Any) -> bool:
        return isinstance(value, str) and self.in_text(value) != value

    def _shown(self, value: Any, path: Path) -> Any:
        if path in self.paths:
            kind = type(value).__name__
            return f"<redacted {kind}>" if kind in _TYPES else REDACTED
        if isinstance(value, Mapping):
            return {key: self._shown(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._shown(item, (*path, number)) for number, item in enumerate(value)]
        return value


@lru_cache(maxsize=16)
def _pattern(values: frozenset[str]) -> re.Pattern[str]:
    """Matches the values in every spelling. Cached: the runs of a sweep mostly hide the same ones."""
    longest_first = sorted(values, key=len, reverse=True)
    return re.compile("|".join(each for value in longest_first for each in spellings.expressions(value)))


def resolve(config: DictConfig) -> tuple[dict[str, Any], Redaction]:
    """A composed config as plain Python values, and those of them that ``oc.env`` has a part in.

    Every value is resolved once: one that differs at each reading, such as a time, is settled here. Hydra's own node
    is left out, missing values are ``???``. Raises OmegaConfBaseException for what cannot be resolved.
    """
    found: dict[Path, Any] = {}
    with _environment_read() as read:
        try:
            plain = {str(key): _resolved(config, key, (key,), read, found) for key in config if key != "hydra"}
        except OmegaConfBaseException as error:
            _redact(error, Redaction(values=_hidden(read)))
            raise
    values = [*read, *(leaf for each in found.values() for leaf in _leaves(each))]
    return plain, Redaction(frozenset(found), _hidden(values))


def _hidden(values: Iterable[Any]) -> frozenset[str]:
    """What to search for in texts: the values, and each line of them."""
    lines = {line for value in map(str, values) for line in (value, *value.splitlines())}
    return frozenset(line for line in lines if len(line) >= SHORTEST and line.lower() not in COMMON)


def _redact(error: OmegaConfBaseException, hidden: Redaction) -> None:
    """Redact values in an error's message, which OmegaConf keeps in two places, and drop those that led to it."""
    error.msg = hidden.in_text(str(error.msg))
    error.args = tuple(hidden.in_text(str(each)) for each in error.args)
    error.__cause__ = None


def restored(shown: Any, value: Any) -> Any:
    """Convert a value that was read from the environment again to the type that its placeholder names."""
    typed = _TYPES.get(str(shown).removeprefix("<redacted ").removesuffix(">"))
    return typed(value) if typed is not None and isinstance(value, str) else value


@contextmanager
def redacted_logs(hidden: Redaction) -> Iterator[None]:
    """Within the block, redact the values in all that this process logs or warns of, tracebacks included."""
    if not hidden.values:
        yield
        return
    make, shown = logging.getLogRecordFactory(), warnings.formatwarning
    logging.setLogRecordFactory(lambda *args, **kwargs: _redacted(make(*args, **kwargs), hidden))
    warnings.formatwarning = lambda *args, **kwargs: hidden.in_text(shown(*args, **kwargs))
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
        warnings.formatwarning = shown


@contextmanager
def redacted_errors(hidden: Redaction) -> Iterator[None]:
    """Within the block, redact the values in errors for the user as well, besides what ``redacted_logs`` does."""
    try:
        with redacted_logs(hidden):
            yield
    except UserError as error:
        text = hidden.in_text(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None  # whose traceback would have the value


def _redacted(record: logging.LogRecord, redaction: Redaction) -> logging.LogRecord:
    record.msg, record.args = redaction.in_text(record.getMessage()), ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redaction.in_text("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
    return record


@contextmanager
def _environment_read() -> Iterator[list[Any]]:
    """Within the block, collect the values that ``oc.env`` returns."""
    read: list[Any] = []

    def env(*arguments: Any) -> Any:
        read.append(value := oc.env(*arguments))
        return value

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield read
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _resolved(node: DictConfig | ListConfig, key: Any, path: Path, read: list[Any], found: dict[Path, Any]) -> Any:
    """An entry as plain Python. ``found`` gets it where something is added to ``read`` when it is resolved."""
    if OmegaConf.is_missing(node, key):
        return "???"
    before = len(read)
    value = node[key]
    if len(read) > before:
        plain = OmegaConf.to_container(value, resolve=True, enum_to_str=True) if OmegaConf.is_config(value) else value
        found[path] = plain
        return plain.name if isinstance(plain, Enum) else plain
    if isinstance(value, DictConfig):
        return {inner: _resolved(value, inner, (*path, inner), read, found) for inner in value}
    if isinstance(value, ListConfig):
        return [_resolved(value, number, (*path, number), read, found) for number in range(len(value))]
    return value.name if isinstance(value, Enum) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
