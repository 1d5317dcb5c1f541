"""An executor such as a cluster needs: each pack in a file, run by a process that knows nothing else of its parent."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from packed_jobs import run
from packed_jobs.compose import failed_job
from packed_jobs.errors import LaneDiedError, how_it_ended
from packed_jobs.executor import OnLost, Rules
from packed_jobs.packs import Pack, PackSize
from packed_jobs.program import Program, restore_state
from packed_jobs.returns import SentReturn, sent
from packed_jobs.task import PlannedJob


@dataclass
class ArrayExecutor:
    """Runs one pack after another. events: the methods called on it."""

    folder: Path
    slots: int = 2
    default_pack_size: PackSize = field(default_factory=lambda: PackSize(8))
    events: list[str] = field(default_factory=list)

    def start(
        self,
        program: Program,
        jobs: int | None,  # noqa: ARG002 - the protocol's
        environments: Sequence[Mapping[str, str]],
    ) -> None:
        assert callable(program.load_task())
        assert environments == [{}]
        self.events.append("start")

    def run(self, packs: Sequence[Pack], program: Program, rules: Rules, on_lost: OnLost) -> dict[int, JobReturn]:
        assert not rules.fail_fast
        self.events.append("run")
        returns: dict[int, JobReturn] = {}
        for number, pack in enumerate(packs):
            file = self.folder / f"pack_{number}.pickle"
            file.write_bytes(pickle.dumps((program, [job.pickled for job in pack])))
            environment = os.environ | dict(pack[0].environment)
            done = subprocess.run([sys.executable, __file__, str(file)], env=environment, check=False)
            for job in pack:
                returns[job.index] = self._received(file, job, done.returncode, on_lost)
        return returns

    def _received(self, file: Path, job: PlannedJob, code: int, on_lost: OnLost) -> JobReturn:
        result = file.with_name(f"job_{job.index}.pickle")
        if result.exists():
            loaded: SentReturn = pickle.loads(result.read_bytes())
            return loaded.received(job)
        error = LaneDiedError(f"the array task {how_it_ended(code)}")
        on_lost(job, str(error))
        return failed_job(job, error)

    def interrupt(self) -> list[PlannedJob]:
        self.events.append("interrupt")
        return []

    def kill(self) -> None:
        self.events.append("kill")

    def close(self) -> None:
        self.events.append("close")


def main(file: Path) -> None:
    program, jobs = pickle.loads(file.read_bytes())
    sys.path[:] = program.path
    task: Any = program.load_task()

    def report(index: int, job_return: JobReturn) -> None:
        file.with_name(f"job_{index}.pickle").write_bytes(pickle.dumps(sent(job_return)))

    run.run_jobs(task, restore_state(program.state), jobs, report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
