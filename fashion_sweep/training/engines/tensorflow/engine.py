"""TensorFlow as an engine: XLA programs. Importing this module imports neither TensorFlow nor Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fashion_sweep.training.engines.base import NotOneProgramError
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow import packing
from fashion_sweep.training.engines.tensorflow.settings import settings

if TYPE_CHECKING:
    from fashion_sweep.data.split import Split
    from fashion_sweep.training.engines.base import Arrays, Member, Program, Run
    from fashion_sweep.training.engines.tensorflow.lone import LoneRun, Traces
    from fashion_sweep.training.engines.tensorflow.pack import PackProgram


class TensorFlowEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}

    def __init__(self) -> None:
        self.graphs: ProgramCache[Any] = ProgramCache()  # of runs on their own, for training and for validation
        self.traces: ProgramCache[Traces] = ProgramCache()  # of these runs
        self.packs: ProgramCache[PackProgram] = ProgramCache()

    def pack_key(self, config: Mapping[str, Any]) -> str:
        return packing.pack_key(config)

    def place(self, split: Split) -> Arrays:
        from fashion_sweep.training.engines.tensorflow.data import device_arrays

        return device_arrays(split)

    def member(self, run: Run, arrays: Arrays, pack: int) -> Member:
        from fashion_sweep.training.engines.tensorflow.lone import LoneRun
        from fashion_sweep.training.engines.tensorflow.pack import PackMember

        if pack == 1:
            return LoneRun(run, arrays, self.graphs, self.traces)
        return PackMember(run, arrays)

    def program(self, members: Sequence[Member], arrays: Arrays) -> Program:
        from fashion_sweep.training.engines.tensorflow import guard
        from fashion_sweep.training.engines.tensorflow.pack import PackProgram

        if len(members) == 1:
            return cast("LoneRun", members[0])
        runs = [member.run for member in members]
        key = [members[0].key, len(members)]
        program = self.packs.get(key, lambda: PackProgram(runs)).of(runs)
        differing = guard.difference(program, runs, arrays)
        if differing:
            raise NotOneProgramError(differing)
        return program

    def smaller(self, members: Sequence[Member], size: int) -> Program | None:  # noqa: ARG002 - runs that end are masked
        return None

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()

    def forget(self) -> None:
        self.graphs.clear()
        self.traces.clear()
        self.packs.clear()
