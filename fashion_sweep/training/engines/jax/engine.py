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
    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, Member, Program, Run
    from fashion_sweep.training.engines.jax.member import JaxMember, Traces
    from fashion_sweep.training.engines.jax.pack import JaxProgram
    from fashion_sweep.training.engines.jax.program import Functions


TRACES_KEPT = 64
"""Traces are small, and a grid over anything but rates and seeds has one for each of its values."""


class JaxEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = ENVIRONMENT

    def __init__(self) -> None:
        self.functions: ProgramCache[Functions] = ProgramCache()
        self.traces: ProgramCache[Traces] = ProgramCache(TRACES_KEPT)

    def pack_key(self, config: Mapping[str, Any]) -> str:
        return packing.pack_key(config)

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.jax.data import device_arrays

        return device_arrays(split)

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:  # noqa: ARG002 - every run can be packed
        from fashion_sweep.training.engines.jax.member import JaxMember

        return JaxMember(run, arrays, self.traces)

    def program(self, members: Sequence[Member], arrays: Arrays) -> Program:
        least = len(members)
        found = self._compiled(members, range(least, 2 * least))
        if found is not None:
            return found
        program = self._of_size(members, least)
        try:
            program.trace(arrays)
        except NotImplementedError as error:
            if least == 1:
                raise
            raise NotOneProgramError(f"JAX cannot map it over runs: {one_line(error)}") from error
        if least > 1:
            program.require_memory(arrays)
        return program

    def smaller(self, members: Sequence[Member], size: int) -> Program | None:
        return self._compiled(members, range(len(members), size))

    def _compiled(self, members: Sequence[Member], sizes: Iterable[int]) -> JaxProgram | None:
        """A program of the first of these sizes for which one is compiled; None if none is."""
        size = next((size for size in sizes if [members[0].key, size] in self.functions), None)
        return None if size is None else self._of_size(members, size)

    def _of_size(self, members: Sequence[Member], size: int) -> JaxProgram:
        from fashion_sweep.training.engines.jax.pack import JaxProgram
        from fashion_sweep.training.engines.jax.program import compiled

        runs = cast("Sequence[JaxMember]", members)
        functions = self.functions.get([runs[0].key, size], lambda: compiled(runs[0], size))
        return JaxProgram(runs, functions, size)

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.functions.clear()
        self.traces.clear()
