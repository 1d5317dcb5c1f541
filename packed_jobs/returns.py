"""JobReturns on their way from the process that ran a job to its parent."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Any

import cloudpickle
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from packed_jobs.compose import failed_job
from packed_jobs.errors import LaneTraceback, UnsendableError
from packed_jobs.hydra_internals.job_return import result_of
from packed_jobs.task import PlannedJob


class PickledReturn(JobReturn):
    """A JobReturn whose two configs stay pickled until they are read: as objects they take seven times the memory."""

    def __init__(self, pickled: bytes) -> None:
        """pickled: a JobReturn. Raises what unpickling it raises."""
        loaded: JobReturn = pickle.loads(pickled)
        vars(self).update({name: value for name, value in vars(loaded).items() if name not in ("cfg", "hydra_cfg")})
        self._pickled = pickled

    @property
    def cfg(self) -> DictConfig | None:  # type: ignore[override]
        """The job's config, without the hydra node."""
        return self._loaded().cfg

    @property
    def hydra_cfg(self) -> DictConfig | None:  # type: ignore[override]
        """The hydra node of the job's config."""
        return self._loaded().hydra_cfg

    def _loaded(self) -> JobReturn:
        loaded: JobReturn = pickle.loads(self._pickled)
        return loaded


@dataclass(frozen=True)
class SentReturn:
    """A JobReturn as it is sent."""

    pickled: bytes
    traceback: str  # of the exception that a failed job's JobReturn holds

    def received(self, job: PlannedJob) -> JobReturn:
        """The JobReturn in the parent; a failed one where it cannot be unpickled there."""
        try:
            returned = PickledReturn(self.pickled)
        except Exception as error:  # of a class that only the other process can import
            return failed_job(job, UnsendableError(f"what the job returned cannot be loaded here: {error}"))
        if returned.status is JobStatus.FAILED and self.traceback:
            result_of(returned).__cause__ = LaneTraceback(self.traceback)
        return returned


def sent(job_return: JobReturn) -> SentReturn:
    """Pickle a JobReturn; a result that cannot be pickled, or not be unpickled, becomes an UnsendableError."""
    error = result_of(job_return) if job_return.status is JobStatus.FAILED else None
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    try:
        pickled = _pickled(job_return)
        if error is not None:  # exceptions are often picklable but not unpicklable
            pickle.loads(pickled)
    except Exception as problem:
        job_return.return_value = _unsendable(job_return, error, problem)
        job_return.status = JobStatus.FAILED
        pickled = _pickled(job_return)
    return SentReturn(pickled, text)


def _pickled(value: Any) -> bytes:
    """Pickled by the fast pickler where it can; classes of the parent's main program need the other."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:
        pickled: bytes = cloudpickle.dumps(value)
        return pickled


def _unsendable(job_return: JobReturn, error: Any, problem: Exception) -> UnsendableError:
    if error is not None:
        return UnsendableError(f"{type(error).__name__}: {error}")
    kind = type(result_of(job_return)).__name__
    return UnsendableError(f"the job returned a {kind}, which cannot be sent from its lane: {problem}")
