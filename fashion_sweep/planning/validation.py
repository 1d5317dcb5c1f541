"""Checks of one composed config before anything is trained: missing and unknown keys, values, names, data, models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config import constraints, targets
from fashion_sweep.data import loading, split
from fashion_sweep.errors import ConfigError
from fashion_sweep.training import cross_validation


def check(config: DictConfig, plain: Mapping[str, Any]) -> None:
    """Check one grid point. Raises ConfigError or DataError with everything that is wrong.

    config: as composed, without Hydra's node; plain: the same, resolved to plain Python values.
    """
    found = [*_missing(config), *_unknown(config), *constraints.problems(plain), *_wrong_names(plain), *_misfits(plain)]
    if found:
        raise ConfigError("; ".join(found))
    node = plain["data"]
    if cross_validation.is_cross_validated(plain):
        cross_validation.check(plain, loading.load(node))
    else:
        split.check_size(loading.load(node), node["validation_fraction"], node["limit"])


def own_models(configs: Sequence[Mapping[str, Any]]) -> None:
    """Build every distinct model that is not ours, in a process of its own: this one must not import TensorFlow.

    Raises ConfigError where a function raises, or returns no Keras model that fits the data.
    """
    others = [c for c in configs if not (_is_ours(c) or cross_validation.is_cross_validated(c))]
    wanted = {json.dumps([c["model"], c["data"]], sort_keys=True): c for c in others}
    if not wanted:
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found = [process.submit(_model_problem, config).result() for config in wanted.values()]
    problems = list(dict.fromkeys(problem for problem in found if problem))
    if problems:
        raise ConfigError("\n".join(problems))


def _is_ours(config: Mapping[str, Any]) -> bool:
    return str(config["model"]["_target_"]).startswith("fashion_sweep.models.")


def _model_problem(config: Mapping[str, Any]) -> str | None:
    from fashion_sweep.models import build
    from fashion_sweep.training.native_output import native_output_to

    with native_output_to(None):
        dataset = loading.load(config["data"])
        try:
            build.build_model(config["model"], dataset.images.shape[1:], len(dataset.class_names))
        except ConfigError as error:
            return str(error)
    return None


def _missing(config: DictConfig) -> Iterator[str]:
    """Values that are still ``???``."""
    yield from (f"{key}: a value is required; give {key}=VALUE" for key in sorted(OmegaConf.missing_keys(config)))


def _unknown(config: DictConfig) -> Iterator[str]:
    """Keys that +KEY=VALUE put into a node whose keys are all known."""
    for group, node in ((str(key), config[key]) for key in config):
        kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
        if dataclasses.is_dataclass(kind):
            known = {field.name for field in dataclasses.fields(kind)}
            yield from (f"there is no key {group}.{key}" for key in map(str, node) if key not in known)


def _wrong_names(plain: Mapping[str, Any]) -> Iterator[str]:
    """Every ``_target_`` that does not exist, and activations that Keras does not have."""
    for key, target in _targets(plain, ""):
        why = targets.missing(str(target))
        if why:
            yield f"{key}={target}: {why}"
    activation = constraints.lookup(plain, "model.activation")
    why = targets.missing(f"keras.activations.{activation}") if activation and _is_ours(plain) else None
    if why:
        yield f"model.activation={activation}: {why}"


def _misfits(plain: Mapping[str, Any]) -> Iterator[str]:
    """A scikit-learn model that a trainer of networks is to train."""
    model = str(constraints.lookup(plain, "model._target_"))
    if model.startswith("sklearn.") and not cross_validation.is_cross_validated(plain):
        yield f"{model} is a scikit-learn classifier, no network: it needs trainer=cross_validation"


def _targets(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{prefix}{key}", value
            yield from _targets(value, f"{prefix}{key}.")
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _targets(item, prefix)
