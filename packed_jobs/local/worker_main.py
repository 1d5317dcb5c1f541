"""The first code that runs in a lane: pins the process before anything heavy is imported, then serves.

It is run as a script, with one argument in JSON; the environment has been set by the parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys


def main() -> None:
    """Become a lane."""
    given = json.loads(sys.argv[1])
    key = bytes.fromhex(given["key"])
    try:
        os.write(given["connection"], key + bytes([0] * 7 + [2]) + b"N.")  # a sign of life: the message None
    except OSError:  # the parent has died already
        return
    if given["cores"] and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a lane that may not be pinned still works
            os.sched_setaffinity(0, given["cores"])
    sys.path[:] = given["path"]

    from packed_jobs.local import worker

    worker.serve(given["connection"], key, given["lifeline"], given["parent"])


if __name__ == "__main__":  # not where a task function's own worker processes import this file
    main()
