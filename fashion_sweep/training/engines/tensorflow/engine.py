"""TensorFlow as an engine: XLA programs. Importing this module imports neither TensorFlow nor Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow import packing
from fashion_sweep.training.engines.tensorflow.settings import settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, EpochInputs, EpochResult
    from fashion_sweep.training.engines.tensorflow.program import TrainingProgram
    from fashion_sweep.training.engines.tensorflow.validation import Validation


@dataclass(frozen=True)
class TensorFlowProgram:
    """A training program with a validation program of the same architecture."""

    training: TrainingProgram
    validation: Validation

    def load(self, models: Sequence[keras.Model]) -> None:
        self.training.load(models)

    def epoch(self, arrays: Arrays, inputs: EpochInputs) -> EpochResult:
        return self.training.epoch(arrays, inputs)

    def validate(self, arrays: Arrays) -> EpochResult:
        return self.validation.measure(self.training.model, arrays)

    def store(self, row: int, model: keras.Model) -> None:
        self.training.store(row, model)


class TensorFlowEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}

    def __init__(self) -> None:
        self.programs: ProgramCache[TrainingProgram] = ProgramCache()
        self.validations: ProgramCache[Validation] = ProgramCache()

    def optimizer_inputs(self, node: Mapping[str, Any]) -> list[str] | None:
        return packing.optimizer_inputs(node)

    def unsupported_reason(self, model: keras.Model) -> str | None:
        from fashion_sweep.training.engines.tensorflow import stacking

        return stacking.unsupported_reason(model)

    def is_function_of_inputs(self, model: keras.Model) -> bool:
        from fashion_sweep.training.engines.tensorflow import stacking

        return stacking.is_function_of_inputs(model)

    def program_key(self, model: keras.Model, config: Mapping[str, Any]) -> str:
        from fashion_sweep.training.engines.tensorflow.program_key import program_key

        return program_key(model, config)

    def program(self, models: Sequence[keras.Model], config: Mapping[str, Any], split: Split) -> TensorFlowProgram:
        return TensorFlowProgram(self._training(models, config, split), self._validation(models, config, split))

    def _training(self, models: Sequence[keras.Model], config: Mapping[str, Any], split: Split) -> TrainingProgram:
        from fashion_sweep.models import optimizers
        from fashion_sweep.training.engines.tensorflow.program import TrainingProgram

        shapes = [split.x_train.shape, str(split.x_train.dtype), config["batch_size"], len(models)]
        optimizer = optimizers.build_optimizer(config, 1)
        key = [self.program_key(models[0], config), shapes]
        return self.programs.get(key, lambda: TrainingProgram(models, optimizer, config["batch_size"]))

    def _validation(self, models: Sequence[keras.Model], config: Mapping[str, Any], split: Split) -> Validation:
        """One that measures models of an architecture, however they are trained."""
        from fashion_sweep.training.engines.tensorflow.program_key import architecture_key
        from fashion_sweep.training.engines.tensorflow.validation import Validation

        key = [architecture_key(models[0], config), split.x_val.shape, str(split.x_val.dtype), len(models)]
        return self.validations.get(key, lambda: Validation(models))

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.tensorflow.program import device_arrays

        return device_arrays(split)

    def learning_rates(self, model: keras.Model, first_step: int, steps: int) -> np.ndarray:
        from fashion_sweep.training.engines.tensorflow import hyperparameters

        return hyperparameters.learning_rates(model.optimizer, first_step, steps)

    def dropout_rates(self, model: keras.Model) -> list[float]:
        from fashion_sweep.training.engines.tensorflow import stacking

        return stacking.dropout_rates(model)

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.programs.clear()
        self.validations.clear()
