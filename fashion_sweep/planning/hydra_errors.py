"""Hydra's and OmegaConf's errors, and lists of bad grid points, in the one or two lines that a user needs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

Compose = Callable[[Sequence[str]], DictConfig]
"""Overrides -> config; asked for the valid keys beside a wrong one."""


def composition(error: Exception, overrides: Sequence[str], compose: Compose | None) -> str:
    """Why a config could not be composed: what came, what was expected, the nearest valid name."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(error, MissingConfigException):
        return _no_such_choice(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as KEY=VALUE ({first_line(error)}); quote special characters"
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)) and cause.full_key:
        return _no_such_key(cause.full_key, overrides, compose)
    if isinstance(cause, OmegaConfBaseException):
        return f"{_line_of(cause.full_key, overrides)}: {first_line(cause)}"
    return first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, with the next where it only leads to that; its type where it has none."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(error).__name__


def bad_points(wrong: Sequence[tuple[Sequence[str], str]], total: int) -> str:
    """One text for all bad grid points: a line for each distinct failure. wrong: overrides and message of each."""
    points: dict[str, list[Sequence[str]]] = {}
    for overrides, message in wrong:
        points.setdefault(message, []).append(overrides)
    if total == 1 or (len(points) == 1 and len(wrong) == total):
        return wrong[0][1]
    lines = [f"  {message} (at {' '.join(of[0])}{_more(len(of) - 1)})" for message, of in points.items()]
    return "\n".join([f"{len(wrong)} of {total} grid points are wrong, nothing was trained:", *lines])


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def quoted(value: str) -> str:
    """A string as an override's value, whatever characters it has (Hydra's grammar for quoted values)."""
    return "'" + re.sub(r"(\\+)(?='|$)", r"\1\1", value).replace("'", r"\'") + "'"


def argument(value: str) -> str:
    """A string as an override's value, quoted only where it must be."""
    return value if re.fullmatch(r"[\w./+-]*[A-Za-z/_][\w./+-]*", value, re.ASCII) else quoted(value)


def _no_such_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not error.options:
        return f"there is no config {error.missing_cfg_file!r}; --info searchpath shows where Hydra looks"
    return f"{group}={name}: no such choice; choose one of {', '.join(error.options)}"


def _no_such_key(key: str, overrides: Sequence[str], compose: Compose | None) -> str:
    line = _line_of(key, overrides)
    valid = list(_valid_keys(key, overrides, compose)) if compose else []
    hint = _nearest(key, valid) or "; --cfg job shows the keys that there are, +KEY=VALUE adds one"
    return f"{line}: there is no key {key}{hint}"


def _valid_keys(key: str, overrides: Sequence[str], compose: Compose) -> Iterator[str]:
    """All dotted keys of the config that the same overrides give without those of ``key`` or of values at all."""
    groups = [line for line in overrides if "." not in line.partition("=")[0] and line.partition("=")[0] != key]
    try:
        config = OmegaConf.to_container(compose(groups))
    except Exception:  # whatever else is wrong there is told by its own point
        return
    if isinstance(config, dict):
        yield from (found for found in _dotted(config) if not found.startswith("hydra."))


def _dotted(node: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


def _nearest(name: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.68)
    return f"; did you mean {near[0]}?" if near else ""


def _line_of(key: str | None, overrides: Sequence[str]) -> str:
    """The override that set ``key`` or something in it, or the key itself."""
    plain = re.sub(r"\[\d+\]", "", key or "")
    sets = (line for line in overrides if line.lstrip("+~").startswith((f"{plain}=", f"{plain}.")))
    return next(sets, plain or "the config")
