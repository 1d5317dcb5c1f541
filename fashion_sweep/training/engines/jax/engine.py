"""JAX as an engine. Importing this module imports neither JAX nor Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fashion_sweep.training.engines.jax import packing
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT, settings
from fashion_sweep.training.engines.program_cache import ProgramCache

if TYPE_CHECKING:
    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, Member, Program, Run
    from fashion_sweep.training.engines.jax.member import JaxMember
    from fashion_sweep.training.engines.jax.program import Functions


class JaxEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = ENVIRONMENT

    def __init__(self) -> None:
        self.functions: ProgramCache[Functions] = ProgramCache()
        self._varying: dict[str, tuple[list[np.ndarray], set[int]]] = {}

    def pack_key(self, config: Mapping[str, Any]) -> str | None:
        return packing.pack_key(config)

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.jax.data import device_arrays

        return device_arrays(split)

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:  # noqa: ARG002 - every run can be packed
        from fashion_sweep.training.engines.jax.member import JaxMember

        return JaxMember(run, arrays)

    def program(self, members: Sequence[Member]) -> Program:
        from fashion_sweep.training.engines.jax import program
        from fashion_sweep.training.engines.jax.pack import JaxProgram

        runs = cast("Sequence[JaxMember]", members)
        numbers = [program.all_numbers(member) for member in runs]
        varying = self._varying_numbers(runs[0].key, numbers)
        fixed = [number.tobytes().hex() for index, number in enumerate(numbers[0]) if index not in varying]
        key = [runs[0].key, varying, fixed, len(runs)]
        functions = self.functions.get(key, lambda: program.compiled(runs[0], varying, len(runs)))
        return JaxProgram(runs, functions, [np.stack([each[index] for each in numbers]) for index in varying])

    def _varying_numbers(self, key: str, numbers: Sequence[Sequence[np.ndarray]]) -> list[int]:
        """Which numbers have differed between runs of this key so far: those are inputs of its programs."""
        first, varying = self._varying.setdefault(key, (list(numbers[0]), set()))
        for each in numbers:
            varying |= {index for index, number in enumerate(each) if number.tobytes() != first[index].tobytes()}
        return sorted(varying)

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.functions.clear()
        self._varying.clear()
