"""What Slurm and the files say of a sweep's submissions, for whoever asks: nothing here loads a task function."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from packed_jobs.slurm import cluster
from packed_jobs.slurm.cluster import TaskState
from packed_jobs.slurm.submission import Array, Manifest, Submission


@dataclass(frozen=True)
class TaskStatus:
    """An array task."""

    job: str  # as Slurm names it, such as 12_3; empty where the submission was not heard
    state: TaskState | None  # None: Slurm has forgotten it, or never had it
    jobs: dict[int, str]  # without a result: index -> name of the folder

    @property
    def is_live(self) -> bool:
        """Whether it runs or will run."""
        return self.state is not None and self.state.is_live


@dataclass(frozen=True)
class SubmissionStatus:
    """A submission."""

    submission: Submission
    manifest: Manifest
    tasks: list[TaskStatus]

    @property
    def is_live(self) -> bool:
        return any(task.is_live for task in self.tasks)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is live, and no submission is under way that nobody has heard of yet."""
        heard = sum(array.size for array in self.manifest.arrays if array.job is not None)
        return not self.is_live and heard == len(self.tasks)

    @property
    def arrays(self) -> list[str]:
        """The ids of the job arrays."""
        return [str(array.job) for array in self.manifest.arrays if array.job is not None]

    def counts(self) -> Counter[str]:
        """How many tasks are in which state."""
        return Counter(
            str(task.state) if task.is_live else "ended without all results" if task.jobs else "ended"
            for task in self.tasks
        )


def look(sweep: Path) -> list[SubmissionStatus]:
    """The submissions of a sweep that are not known to have ended. Raises SlurmError where Slurm cannot be asked."""
    return [_look(each) for each in Submission.all_of(sweep) if not each.read_manifest().has_ended]


def live(sweep: Path) -> dict[str, str]:
    """The jobs that tasks run or will run: name of the folder -> the task, as Slurm names it. Raises SlurmError."""
    tasks = [task for each in look(sweep) for task in each.tasks if task.is_live]
    return {name: task.job for task in tasks for name in task.jobs.values()}


def _look(submission: Submission) -> SubmissionStatus:
    manifest = submission.read_manifest()
    manifest = replace(manifest, arrays=[_known(array) for array in manifest.arrays])
    states = cluster.states(array.job for array in manifest.arrays if array.job is not None)
    returned = submission.returned()
    tasks = []
    for number, names in enumerate(manifest.tasks):
        place = manifest.task_of(number)
        missing = {int(index): name for index, name in names.items() if int(index) not in returned}
        job = "" if place is None else "{}_{}".format(*place)
        tasks.append(TaskStatus(job, None if place is None else states.get(place), missing))
    return SubmissionStatus(submission, manifest, tasks)


def _known(array: Array) -> Array:
    """An array with its id, where its submitter was killed before it could note that. Raises NoAnswerError."""
    return array if array.job is not None else replace(array, job=cluster.find(array.comment))
