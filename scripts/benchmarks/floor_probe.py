"""Times the products of the floor on one core; see floor.py."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.floor import PRODUCTS, Product
from benchmarks.grid import PARAMETERS
from benchmarks.processes import wait_for_others

PRODUCT_S = 0.4
"""Seconds for which a product is repeated."""
CHUNK_S = 0.005
"""Seconds between two looks at the clock."""
AT_ONCE = 16
"""Products in one call of TensorFlow, which has to be spread over several: a call takes longer than a product."""


def main() -> None:
    """Print seconds by library and product, and bytes_per_second of a copy, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("--number", "--count", "--core"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})

    def together(stage: str) -> None:
        wait_for_others(arguments.folder, stage, arguments.number, arguments.count)

    found = {}
    for library, prepare, calls in (("numpy", _numpy, 1), ("tensorflow", _tensorflow, AT_ONCE)):
        for number, each in enumerate(PRODUCTS):
            call = prepare(each)
            together(f"{library}-{number}")
            found[f"{library} {each.name}"] = _seconds(call) / calls
    source = np.ones(2 * PARAMETERS, "float32")  # with its copy as large as parameters, gradients and Adam's two means
    copy = np.empty_like(source)
    together("copy")
    found["bytes_per_second"] = 2 * source.nbytes / _seconds(lambda: np.copyto(copy, source))
    together("end")
    print("\n" + json.dumps(found))


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call: the median over chunks of many calls."""
    for _ in range(3):
        started = time.perf_counter()
        call()
        once = time.perf_counter() - started
    count = max(1, int(CHUNK_S / once))
    chunks, end = [], time.perf_counter() + PRODUCT_S
    while time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(count):
            call()
        chunks.append((time.perf_counter() - started) / count)
    return statistics.median(chunks)


def _operands(product: Product) -> tuple[np.ndarray, np.ndarray]:
    """Operands in their memory layout, with random numbers."""
    random = np.random.default_rng(0)
    a, b = (product.rows, product.inner), (product.inner, product.columns)
    shapes = (a[::-1] if product.transposed == "a" else a), (b[::-1] if product.transposed == "b" else b)
    left, right = (random.standard_normal(shape, dtype="float32") for shape in shapes)
    return left, right


def _numpy(product: Product) -> Callable[[], Any]:
    a, b = _operands(product)
    left, right = a.T if product.transposed == "a" else a, b.T if product.transposed == "b" else b
    out = np.empty((product.rows, product.columns), "float32")
    return lambda: np.matmul(left, right, out=out)


def _tensorflow(product: Product) -> Callable[[], Any]:
    import tensorflow as tf

    a, b = _operands(product)
    left, right = [tf.constant(a + copy) for copy in range(AT_ONCE)], tf.constant(b)
    flags = {"transpose_a": product.transposed == "a", "transpose_b": product.transposed == "b"}

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def many(lefts: list[Any], one: Any) -> list[Any]:
        return [tf.matmul(each, one, **flags) for each in lefts]

    return lambda: many(left, right)


if __name__ == "__main__":
    main()
