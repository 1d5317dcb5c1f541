"""A Hydra launcher that runs jobs in lanes: worker processes that each own a GPU or some cores and live for the sweep.

``hydra/launcher=packed`` works with any task function. One that offers the attributes of ``PackTask`` gets more: lanes
that warm up early, the longest jobs first, and several jobs trained together in one call.

The modules whose names begin with ``_`` are not scanned by Hydra, which executes a scanned module anew at each scan:
classes that travel between processes must exist once.
"""

from hydra_plugins.packed_launcher._errors import JobExitedError, JobTimeoutError, LaneDiedError, NotStartedError
from hydra_plugins.packed_launcher._jobs import Job, PackTask
from hydra_plugins.packed_launcher._packs import Preview, preview

__all__ = [
    "Job",
    "JobExitedError",
    "JobTimeoutError",
    "LaneDiedError",
    "NotStartedError",
    "PackTask",
    "Preview",
    "preview",
]
