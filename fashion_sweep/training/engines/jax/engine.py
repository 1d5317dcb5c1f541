"""JAX as an engine. Importing this module imports neither JAX nor Keras."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fashion_sweep.data.dataset import one_line
from fashion_sweep.training.engines.base import NotOneProgramError
from fashion_sweep.training.engines.jax import packing
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT, settings
from fashion_sweep.training.engines.program_cache import ProgramCache

if TYPE_CHECKING:
    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, Member, Program, Run
    from fashion_sweep.training.engines.jax.member import JaxMember
    from fashion_sweep.training.engines.jax.pack import JaxProgram
    from fashion_sweep.training.engines.jax.program import Functions


@dataclass(frozen=True)
class _Pack:
    """Runs with one key, and which of their numbers are inputs of their program."""

    runs: Sequence[JaxMember]
    varying: Sequence[int]
    fixed: str  # digest of the other numbers

    def key(self, size: int) -> Sequence[Any]:
        """Of their program with so many rows."""
        return [self.runs[0].key, self.varying, self.fixed, size]


class JaxEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = ENVIRONMENT

    def __init__(self) -> None:
        self.functions: ProgramCache[Functions] = ProgramCache()
        # Of the members with a key: the numbers of the first one, and which have differed in one of them since.
        self._numbers: dict[str, tuple[Sequence[bytes], set[int]]] = {}

    def pack_key(self, config: Mapping[str, Any]) -> str:
        return packing.pack_key(config)

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.jax.data import device_arrays

        return device_arrays(split)

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:  # noqa: ARG002 - every run can be packed
        from fashion_sweep.training.engines.jax.member import JaxMember

        return JaxMember(run, arrays)

    def program(self, members: Sequence[Member], arrays: Arrays) -> Program:
        least, pack = len(members), self._pack(members)
        found = self._compiled(pack, range(least, 2 * least))
        if found is not None:
            return found
        program = self._of_size(pack, least)
        try:
            program.trace(arrays)
        except NotImplementedError as error:
            if least == 1:
                raise
            raise NotOneProgramError(f"JAX cannot map it over runs: {one_line(error)}") from error
        return program

    def smaller(self, members: Sequence[Member], size: int) -> Program | None:
        return self._compiled(self._pack(members), range(len(members), size))

    def _pack(self, members: Sequence[Member]) -> _Pack:
        runs = cast("Sequence[JaxMember]", members)
        first, varying = self._numbers.setdefault(runs[0].key, (runs[0].number_bytes, set()))
        for run in runs:
            varying |= {index for index, number in enumerate(run.number_bytes) if number != first[index]}
        fixed = (number for index, number in enumerate(runs[0].number_bytes) if index not in varying)
        return _Pack(runs, sorted(varying), hashlib.sha256(b"|".join(fixed)).hexdigest())

    def _compiled(self, pack: _Pack, sizes: Iterable[int]) -> JaxProgram | None:
        """A program of the first of these sizes for which one is compiled; None if none is."""
        size = next((size for size in sizes if pack.key(size) in self.functions), None)
        return None if size is None else self._of_size(pack, size)

    def _of_size(self, pack: _Pack, size: int) -> JaxProgram:
        from fashion_sweep.training.engines.jax.pack import JaxProgram
        from fashion_sweep.training.engines.jax.program import compiled

        runs, varying = pack.runs, pack.varying
        functions = self.functions.get(pack.key(size), lambda: compiled(runs[0], varying, size))
        return JaxProgram(runs, functions, varying, size)

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.functions.clear()
        self._numbers.clear()
