"""JAX as an engine. Importing this module imports neither JAX nor Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fashion_sweep.data.dataset import one_line
from fashion_sweep.training.engines.base import NotOneProgramError
from fashion_sweep.training.engines.jax import packing
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT, settings
from fashion_sweep.training.engines.program_cache import ProgramCache

if TYPE_CHECKING:
    import numpy as np

    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, Member, Program, Run
    from fashion_sweep.training.engines.jax.member import JaxMember
    from fashion_sweep.training.engines.jax.pack import JaxProgram
    from fashion_sweep.training.engines.jax.program import Functions


class JaxEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = ENVIRONMENT

    def __init__(self) -> None:
        self.functions: ProgramCache[Functions] = ProgramCache()
        self._numbers: dict[str, tuple[Sequence[np.ndarray], set[int]]] = {}  # key -> of the first run; which vary

    def pack_key(self, config: Mapping[str, Any]) -> str:
        return packing.pack_key(config)

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.jax.data import device_arrays

        return device_arrays(split)

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:  # noqa: ARG002 - every run can be packed
        from fashion_sweep.training.engines.jax.member import JaxMember

        return JaxMember(run, arrays)

    def program(self, members: Sequence[Member], arrays: Arrays) -> Program:
        least = len(members)
        found = self._of_sizes(members, range(least, 2 * least))
        if found is not None:
            return found
        program = self._of_size(members, least)
        try:
            program.trace(arrays)
        except NotImplementedError as error:
            if least == 1:
                raise
            raise NotOneProgramError(f"JAX cannot map it over runs: {one_line(error)}") from error
        return program

    def smaller(self, members: Sequence[Member], size: int) -> Program | None:
        return self._of_sizes(members, range(len(members), size))

    def _of_sizes(self, members: Sequence[Member], sizes: Iterable[int]) -> JaxProgram | None:
        """A program of the first of these sizes for which one is compiled; None if none is."""
        found = (size for size in sizes if self._key(members, size) in self.functions)
        size = next(found, None)
        return None if size is None else self._of_size(members, size)

    def _of_size(self, members: Sequence[Member], size: int) -> JaxProgram:
        from fashion_sweep.training.engines.jax.pack import JaxProgram
        from fashion_sweep.training.engines.jax.program import compiled

        runs, varying = cast("Sequence[JaxMember]", members), self._varying(members)
        functions = self.functions.get(self._key(members, size), lambda: compiled(runs[0], varying, size))
        return JaxProgram(runs, functions, varying, size)

    def _key(self, members: Sequence[Member], size: int) -> list[Any]:
        """Of a program: what it computes, which numbers are its inputs, the others, its rows."""
        varying, first = self._varying(members), cast("JaxMember", members[0])
        fixed = [number.tobytes().hex() for index, number in enumerate(first.numbers) if index not in varying]
        return [first.key, varying, fixed, size]

    def _varying(self, members: Sequence[Member]) -> list[int]:
        """Which numbers have differed between runs of this key so far: those are inputs of its programs."""
        runs = cast("Sequence[JaxMember]", members)
        first, varying = self._numbers.setdefault(runs[0].key, (runs[0].numbers, set()))
        for run in runs:
            varying |= {index for index, number in enumerate(run.numbers) if number.tobytes() != first[index].tobytes()}
        return sorted(varying)

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.functions.clear()
        self._numbers.clear()
