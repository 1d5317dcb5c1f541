"""Synthetic images that a network can learn to classify, the same on every machine."""

from __future__ import annotations

import math

import numpy as np

from fashion_sweep.data.dataset import Dataset, checked
from fashion_sweep.errors import ConfigError

MOST_NOISE = 100
"""Highest ``noise`` of synthetic data; nothing can be learned far below it."""

_SYNTHETIC_CELLS = 7  # a synthetic image is about this many cells high and wide


def synthetic(*, samples: int, image_size: int, classes: int, noise: float, seed: int) -> Dataset:
    """Generate grey images: every class has a pattern of square cells, and every image is a shifted, noisy copy of it.

    Uses PCG64's raw bits, a stream that numpy guarantees, and exact sums, so that the result is the same everywhere.

    Args:
        samples: number of images, cycling through the classes.
        image_size: height and width in pixels.
        classes: number of classes.
        noise: strength of the noise on cells; 0: only a little on pixels, 1: networks get about a tenth wrong.
        seed: chooses patterns, shifts and noise.

    Returns: uint8 images [samples, image_size, image_size]; classes are named "0", "1", ...
    """
    for name, value in {"samples": samples, "image_size": image_size, "classes": classes}.items():
        if value < 1:
            raise ConfigError(f"data.{name}={value}: must be at least 1")
    if seed < 0 or not 0 <= noise <= MOST_NOISE:
        raise ConfigError(
            f"data.seed={seed}, data.noise={noise}: neither may be negative, and data.noise may be at most {MOST_NOISE}"
        )
    bits = np.random.PCG64(seed)
    labels = np.arange(samples) % classes
    cell = max(1, image_size // _SYNTHETIC_CELLS)
    grid = -(-image_size // cell) + 1  # one more cell than fits, to leave room for shifts
    patterns = _random_bytes(bits, classes, grid, grid) // 2 + 64
    disturbed = sum(_random_bytes(bits, samples, grid, grid) for _ in range(4)) - np.float32(2 * 255)
    cells = np.rint(patterns[labels] + disturbed * np.float32(noise / 2)).clip(-255, 510).astype(np.int16)
    images = _shifted(cells.repeat(cell, 1).repeat(cell, 2), _random_bytes(bits, 2, samples) % cell, image_size)
    images += _random_bytes(bits, samples, image_size, image_size) // 4 - 32
    names = [str(number) for number in range(classes)]
    return checked(images.clip(0, 255).astype(np.uint8), labels, names, source="synthetic data")


def _shifted(images: np.ndarray, shifts: np.ndarray, size: int) -> np.ndarray:
    """Cut [N, size, size] out of [N, H, W], each from its own corner; shifts: [2, N] pixels down and right."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    cut: np.ndarray = windows[np.arange(len(images)), shifts[0], shifts[1]]
    return cut


def _random_bytes(bits: np.random.PCG64, *shape: int) -> np.ndarray:
    """Uniform random numbers 0..255 as int16, from the generator's raw 64-bit words."""
    count = math.prod(shape)
    words = np.asarray(bits.random_raw(-(-count // 8)), "<u8")
    return words.view(np.uint8)[:count].reshape(shape).astype(np.int16)
