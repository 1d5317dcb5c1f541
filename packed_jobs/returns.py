"""What a lane says of a job, as the parent keeps it."""

from __future__ import annotations

import pickle

from hydra.core.utils import JobReturn
from omegaconf import DictConfig


class KeptReturn(JobReturn):
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
