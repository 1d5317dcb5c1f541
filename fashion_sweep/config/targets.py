"""Checks that a ``_target_`` exists without importing it, and calls it.

Importing Keras takes seconds and a user's module may do anything, but a wrong name in a config should be reported at
once. So names are looked up in the source: packages and modules as folders and files, the rest as definitions.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

_OURS = __name__.partition(".")[0]


def forget() -> None:
    """Have the source read anew: it may have been edited since, in a notebook."""
    _missing.cache_clear()
    _definitions.cache_clear()


def missing(target: str) -> str | None:
    """Why the dotted name does not exist, in one line; None if it does, or if the source does not tell."""
    return _missing(target, tuple(sys.path))


@lru_cache(maxsize=1024)  # asked for every run of a sweep
def _missing(target: str, path: tuple[str, ...]) -> str | None:
    top, *rest = target.split(".")
    if not rest:
        return f"{target!r} is not a dotted name; expected package.module.function"
    spec = PathFinder.find_spec(top, path)
    if spec is None:
        built_in = top in sys.builtin_module_names
        return None if built_in else f"there is no package {top!r} in this Python; is its folder on PYTHONPATH?"
    if spec.submodule_search_locations is not None:
        return _follow(tuple(Path(place) for place in spec.submodule_search_locations), top, rest)
    return _in_module(Path(spec.origin), top, rest) if spec.origin and spec.origin.endswith(".py") else None


def _follow(places: tuple[Path, ...], package: str, names: list[str]) -> str | None:
    """Look for names[0] in a package: a folder, a module, or a definition in its __init__.py."""
    name, rest = names[0], names[1:]
    inner = tuple(place / name for place in places if (place / name).is_dir())
    module = next((place / f"{name}.py" for place in places if (place / f"{name}.py").is_file()), None)
    if rest and module is not None:
        return _in_module(module, f"{package}.{name}", rest)
    if rest and inner:
        return _follow(inner, f"{package}.{name}", rest)
    inits = [place / "__init__.py" for place in places if (place / "__init__.py").is_file()]
    modules = (each.stem for place in places for each in place.iterdir() if each.suffix in ("", ".py"))
    return _in_module(inits[0], package, names, modules) if inits else f"there is no {name!r} in {package}"


def _in_module(path: Path, module: str, names: list[str], others: Iterable[str] = ()) -> str | None:
    """others: names that may be meant as well."""
    # Our own package gives some names lazily, but lists them; elsewhere a module's __getattr__ may know any name.
    ours = frozenset(dir(sys.modules[_OURS])) if module == _OURS else None
    found = _Definitions(ours, complete=True) if ours else _definitions(path)
    if found.complete and names[0] not in found.names:
        near = difflib.get_close_matches(names[0], found.names.union(others), n=1)
        return f"there is no {names[0]!r} in {module}" + (f"; did you mean {module}.{near[0]}?" if near else "")
    return None


def call(config: Mapping[str, Any], **offered: Any) -> Any:
    """Call what ``config["_target_"]`` names with the config's other keys and the offered arguments that it accepts.

    An offered argument is passed only if the config has no value for it. Raises what the call raises.
    """
    from hydra.utils import get_method

    parameters = inspect.signature(get_method(config["_target_"])).parameters
    extra = {key: value for key, value in offered.items() if key in parameters and config.get(key) is None}
    return prepared(config)(**extra)


def prepared(config: Mapping[str, Any]) -> Callable[..., Any]:
    """What ``config["_target_"]`` names with the config's other keys as its arguments, not yet called."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        found: Callable[..., Any] = instantiate({**config, "_partial_": True}, _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None
    return found


def advice(config: Mapping[str, Any]) -> str:
    """What to say of a target that could not be called: its arguments, if not all keys of the node are among them."""
    from hydra.utils import get_method

    try:
        parameters = inspect.signature(get_method(config["_target_"])).parameters.values()
    except Exception:  # it cannot be imported, or is written in C
        return ""
    listed = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    is_known = all(key.startswith("_") or key in listed for key in config)
    return "" if is_known else f"; its arguments are {', '.join(listed)}"


class _Definitions(NamedTuple):
    names: frozenset[str]
    complete: bool  # whether the source shows all names of the module


@lru_cache
def _definitions(path: Path) -> _Definitions:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, OSError):
        return _Definitions(frozenset(), complete=False)
    names = frozenset(_bound(tree))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return _Definitions(names, complete=not (names | used) & {"*", "__getattr__", "setattr", "globals"})


def _bound(tree: ast.AST) -> Iterator[str]:
    """Every name that the statements of a module may bind, those under if, try and with included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        else:
            yield from _bound(node)
