"""Jobs in lanes: worker processes that each own a device slot, live for a whole sweep and run packs of jobs.

The library behind ``hydra/launcher=packed``. It works with any task function of Hydra; one that offers the attributes
of ``PackTask`` gets more: lanes that warm up early, the longest jobs first, and several jobs trained together.
"""

from packed_jobs.errors import JobExitedError, JobTimeoutError, LaneDiedError, NotStartedError
from packed_jobs.local.preview import Preview, preview
from packed_jobs.task import Job, PackTask, Prepared

__all__ = [
    "Job",
    "JobExitedError",
    "JobTimeoutError",
    "LaneDiedError",
    "NotStartedError",
    "PackTask",
    "Prepared",
    "Preview",
    "preview",
]
