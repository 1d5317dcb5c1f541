"""What an engine has to offer the epoch loop: programs that train and validate packs of runs.

A pack is R runs of one architecture, each with a Keras model of its own. Every engine has to give each run the numbers
of a plain Keras loop over the same batches, whatever else is in its pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import keras

    from fashion_sweep.data.split import Split


@dataclass(frozen=True)
class Arrays:
    """The data of a program on its device."""

    x_train: Any  # [N, ...], uint8 or float32
    y_train: Any  # int32 [N]
    x_val: Any  # [M, ...]
    y_val: Any  # int32 [M]


@dataclass(frozen=True)
class EpochInputs:
    """What differs between the runs of a pack, or between epochs: as inputs of a program it compiles nothing again.

    steps = ceil(N / batch size), a partial last batch included.
    """

    orders: np.ndarray  # the training images of each run in their order, int [R, N]
    learning_rates: np.ndarray  # of each step, float32 [steps, R]
    dropout_rates: np.ndarray  # of each run's Dropout layers, [R, layers]
    seeds: np.ndarray  # of the dropout masks, int [R]
    first_step: int  # steps of the epochs before


@dataclass(frozen=True)
class EpochResult:
    """Means over the images of one epoch, one number a run: float64 [R]."""

    loss: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of_sums(cls, sums: Sequence[Any], count: int) -> EpochResult:
        """From losses and correct answers, each summed over ``count`` images: [R]."""
        loss, correct = (np.asarray(total, "float64") / count for total in sums)
        return cls(loss, correct)


class Program(Protocol):
    """Trains R runs together. Call load first, then epoch again and again."""

    def load(self, models: Sequence[keras.Model]) -> None:
        """Start from the weights of R compiled models, and from the state of optimizers that have taken steps."""

    def epoch(self, arrays: Arrays, inputs: EpochInputs) -> EpochResult:
        """Train one epoch; loss and accuracy of each batch are those before its step."""

    def validate(self, arrays: Arrays) -> EpochResult:
        """Loss and accuracy of every run on the validation images, with its weights of now."""

    def store(self, row: int, model: keras.Model) -> None:
        """Copy the weights and the optimizer's state of one run (row: 0 to R - 1) to its own compiled model."""


class Engine(Protocol):
    """Makes programs. ``environment`` and ``optimizer_inputs`` are for planning: they import no compute library."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that have to be set before Keras is imported."""

    def optimizer_inputs(self, node: Mapping[str, Any]) -> Sequence[str] | None:
        """The keys of a config's ``optimizer`` node in which runs of one pack may differ, the learning rate aside.

        None if the optimizer would mix the runs of a pack, so that each has to be trained alone.
        """

    def unsupported_reason(self, model: keras.Model) -> str | None:
        """Why models of this architecture cannot be trained in a pack, in a few words; None if they can."""

    def is_function_of_inputs(self, model: keras.Model) -> bool:
        """Whether all randomness in training is a function of seed and step, so that a saved run can be continued."""

    def program_key(self, model: keras.Model, config: Mapping[str, Any]) -> str:
        """Equal for compiled models that one program can train, apart from the shapes of their data."""

    def program(self, models: Sequence[keras.Model], config: Mapping[str, Any], split: Split) -> Program:
        """A program for R models with equal ``program_key``, compiled now or for an earlier pack."""

    def place(self, split: Split) -> Arrays:
        """The data on the device."""

    def learning_rates(self, model: keras.Model, first_step: int, steps: int) -> np.ndarray:
        """The learning rate of a compiled model at each of these steps, from its schedule if it has one: float32."""

    def dropout_rates(self, model: keras.Model) -> Sequence[float]:
        """The rates of the Dropout layers that are inputs of a program, in a fixed order."""

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        """How to read and how to set each process-wide setting that code of a run may change. Imports no library."""

    def forget(self) -> None:
        """Release all programs and their memory."""
