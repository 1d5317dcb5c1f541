"""Runs packs as tasks of Slurm job arrays, and waits for them, or not."""

from __future__ import annotations

import logging
import math
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from packed_jobs.executor import OnLost, Rules
from packed_jobs.packs import Pack
from packed_jobs.program import Program
from packed_jobs.slurm import cluster, script, status, stop, tasks
from packed_jobs.slurm.options import SlurmOptions
from packed_jobs.slurm.submission import Array, Submission, TaskFile
from packed_jobs.slurm.wait import Wait
from packed_jobs.task import PlannedJob

log = logging.getLogger(__name__)


class SlurmExecutor:
    """An ``executor.Executor`` whose packs run in allocations.

    lanes: options of the lanes of a task: lanes, threads_per_lane, lane_memory_gib; detach: return at once, with
    JobReturns of status UNKNOWN.
    """

    def __init__(self, options: SlurmOptions, lanes: Mapping[str, Any], *, detach: bool) -> None:
        self.options, self.lanes, self.detach = options, lanes, detach
        self._lanes_of_task = tasks.lanes_of(options, lanes["lanes"])
        self.slots = options.array_parallelism * self._lanes_of_task
        self.default_pack_size = tasks.default_pack_size(options)
        self.waits: list[Wait] = []  # for what was submitted here and may not have ended

    def start(self, program: Program, jobs: int | None, environments: Sequence[Mapping[str, str]]) -> None:
        """Does nothing: the number of packs is not known yet."""

    def run(self, packs: Sequence[Pack], program: Program, rules: Rules, on_lost: OnLost) -> dict[int, JobReturn]:
        """Submit the packs as arrays, and wait unless detached. Raises SlurmError where they cannot be submitted."""
        if not packs:
            return {}
        submission = self._written(packs[0][0], program)
        wait = Wait(submission, rules, on_lost, lambda jobs: self._submit(wait, [[[job]] for job in jobs]))
        self.waits.append(wait)
        self._submit(wait, tasks.grouped(packs, self.options, self._lanes_of_task))
        if self.detach:
            self.waits.remove(wait)
            return {job.index: JobReturn(status=JobStatus.UNKNOWN) for pack in packs for job in pack}
        try:
            returns = wait.run()
        except cluster.NoAnswerError:
            self.waits.remove(wait)  # its tasks may well go on, and are not cancelled
            raise
        self.waits.remove(wait)
        with suppress(OSError):  # on a full disk: the results are here
            submission.close()
        return returns

    def interrupt(self) -> list[PlannedJob]:
        """Interrupt running tasks, and cancel all. Returns the jobs of tasks that had to be killed."""
        killed: list[PlannedJob] = []
        try:
            stop.interrupt(self._arrays(), lambda: bool(self._running()))
            killed = self._running()
        except cluster.SlurmError as error:
            log.warning("The jobs could not be interrupted: %s", error)
        except KeyboardInterrupt:
            pass
        self.kill()
        return killed

    def kill(self) -> None:
        """Cancel all tasks."""
        arrays = self._arrays()
        self.waits.clear()
        try:
            cluster.cancel(arrays)
        except cluster.SlurmError as error:
            log.warning("The jobs could not be cancelled (%s); do it with: scancel %s", error, " ".join(arrays))

    def close(self) -> None:
        """Cancel what is left."""
        self.kill()

    def _arrays(self) -> list[str]:
        return [array for wait in self.waits for array in wait.arrays()]

    def _running(self) -> list[PlannedJob]:
        """Jobs that run. Raises SlurmError."""
        return [job for wait in self.waits for job in wait.running()]

    def _written(self, job: PlannedJob, program: Program) -> Submission:
        """The files of a new submission, without its tasks. job: one of it."""
        config = job.pickled.load_config()
        sweep = Path(str(config.hydra.sweep.dir))
        for each in status.look(sweep):
            if each.has_ended:
                each.submission.close()
        submission = Submission.new(sweep, cluster.settings().get("ClusterName", ""))
        submission.write_program(program)
        text = script.batch_script(
            self.options, name=str(config.hydra.job.name), folder=submission.path, logs=submission.logs,
            python=[sys.executable], import_path=program.import_path or [str(Path(__file__).parents[2])],
        )  # fmt: skip
        submission.script.write_text(text, "utf-8")
        return submission

    def _submit(self, wait: Wait, grouped: Sequence[Sequence[Pack]]) -> None:
        """Add tasks of these packs to a submission, in as many arrays as the cluster needs. Raises SlurmError."""
        submission, options = wait.submission, self.options
        manifest = submission.read_manifest()
        first = len(manifest.tasks)
        for number, packs in enumerate(grouped, start=first):
            plain = [[replace(job, key=None) for job in pack] for pack in packs]  # a key may be of any class
            given = TaskFile(plain, wait.rules, self.lanes, options.timeout_min, options.max_num_timeout)
            submission.write_task(number, given)
            wait.add(number, [job for pack in packs for job in pack])
        names = [{str(job.index): job.folder for pack in packs for job in pack} for packs in grouped]
        submission.write_manifest(replace(manifest, tasks=[*manifest.tasks, *names]))
        self._submit_arrays(submission, first, len(grouped))

    def _submit_arrays(self, submission: Submission, first: int, count: int) -> None:
        """Submit ``count`` tasks, the first of which is number ``first``. Raises SlurmError."""
        most = cluster.max_array_size()
        parallel = max(1, self.options.array_parallelism // math.ceil(count / most))
        for begin in range(first, first + count, most):
            size = min(most, first + count - begin)
            array = Array(f"packed_jobs-{uuid.uuid4().hex}", begin, size)
            before = submission.read_manifest()
            submission.write_manifest(replace(before, arrays=[*before.arrays, array], has_ended=False))
            job = cluster.submit(
                submission.script, array=f"0-{size - 1}%{parallel}", arguments=[str(begin)], comment=array.comment
            )
            submission.write_manifest(
                replace(before, arrays=[*before.arrays, replace(array, job=job)], has_ended=False)
            )
            log.info("Submitted %d tasks as job %d; their files are in %s", size, job, submission.path)
