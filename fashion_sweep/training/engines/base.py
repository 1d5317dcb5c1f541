"""What an engine has to offer the epoch loop: programs that train and validate packs of runs.

A pack is R runs that are trained together, each with a Keras model of its own. Every engine has to give each run what
Keras' own ``train_step`` and ``test_step`` give it over the same batches, whatever else is in its pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import keras

    from fashion_sweep.data.split import Split

Logs = dict[str, float]
"""Keras' logs of an epoch: metric -> value."""


@dataclass(frozen=True)
class Arrays:
    """The data of a program on its device."""

    x_train: Any  # [N, ...], uint8 or float32
    y_train: Any  # integers [N]
    x_val: Any  # [M, ...]
    y_val: Any  # integers [M]
    divisor: Any  # float32 []: of the images, see ``data.split.divisor``
    """An input of the programs, because XLA replaces a division by a constant with a product, which rounds half of all
    pixels to a neighbouring float. A layer that makes whole numbers of them again would find others.
    """

    @property
    def validation(self) -> tuple[Any, Any, Any]:
        """What a validation takes."""
        return self.x_val, self.y_val, self.divisor


@dataclass(frozen=True)
class Run:
    """A run as its engine sees it."""

    model: keras.Model  # compiled, and built with its optimizer and metrics
    seed: int  # of the dropout masks
    batch_size: int  # in training and validation


class Member(Protocol):
    """A run whose computation the engine knows, so that it can be compared with that of others."""

    run: Run
    key: str
    """Equal for runs that one program can train."""
    alone: str | None
    """Why the run cannot be trained in a pack, in a few words; None if it can."""
    can_continue: bool
    """Whether variables of model and optimizer are all that the run carries from epoch to epoch."""


class Program(Protocol):
    """Trains the runs of a pack. Between the calls each model is up to date, and callbacks may change it."""

    size: int
    """Its rows; those beyond the runs are idle."""

    def train(self, arrays: Arrays, orders: np.ndarray, first_step: int, live: Sequence[int]) -> list[Logs]:
        """Train one epoch from the state of the models, and leave each live run's new state in its model.

        orders: the training images of each run in their order, int [R, N]; first_step: steps of the epochs before;
        live: rows of the runs that have not ended, 0 to R - 1. Returns what Keras logs, a run each; those of rows that
        are not live mean nothing.
        """

    def validate(self, arrays: Arrays, live: Sequence[int]) -> list[Logs]:
        """What Keras logs on the validation images, a run each."""


class NotOneProgramError(Exception):
    """A program that was made for runs does not compute what their models do."""


class Engine(Protocol):
    """Makes programs. ``environment`` and ``pack_key`` are for planning: they import no compute library."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that have to be set before Keras is imported."""

    def pack_key(self, config: Mapping[str, Any]) -> str:
        """Runs whose configs have equal keys may fit into one pack."""

    def place(self, split: Split) -> Arrays:
        """The data on the device."""

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:
        """Find out what a run computes. Called before the next model is built, because Keras has global state.

        pack: how many runs are to be trained together, this one included.
        """

    def program(self, members: Sequence[Member], arrays: Arrays) -> Program:
        """A program for runs with equal keys, compiled now or for an earlier pack.

        arrays: the data. Raises NotOneProgramError where a look at a few images finds that it differs from the models.
        """

    def smaller(self, members: Sequence[Member], size: int) -> Program | None:
        """A program for what is left of a pack of ``size`` rows, where one of fewer is compiled already; else None."""

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        """How to read and how to set each process-wide setting that code of a run may change. Imports no library."""

    def forget(self) -> None:
        """Release all programs and their memory."""


def batches(orders: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Orders [..., N] as whole batches, int32 [..., S, size], and the images left over, int32 [..., N - S * size]."""
    *runs, count = orders.shape
    whole = count // size
    order = orders.astype("int32")
    return order[..., : whole * size].reshape(*runs, whole, size), order[..., whole * size :]


def compact(images: np.ndarray) -> np.ndarray:
    """Integers 0..255 as uint8, a quarter of the memory that is moved; floats as float32."""
    return images.astype("uint8" if np.issubdtype(images.dtype, np.integer) else "float32", copy=False)


def numbers(logs: Mapping[str, Any]) -> Logs:
    """A step's logs as Keras passes them to callbacks: nested ones flat, and scalars as Python numbers."""
    found: Logs = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, Mapping):
            found.update(numbers(value))
        else:
            found[name] = float(value) if np.ndim(value) == 0 else value
    return found
