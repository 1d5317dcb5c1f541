"""Plans of command lines, for tests that run nothing."""

from __future__ import annotations

from pathlib import Path

from fashion_sweep import app
from fashion_sweep.planning import plan
from fashion_sweep.planning.request import Request
from packed_jobs.hydra_internals.session import opened


def make(*overrides: str, multirun: bool = True, extra_conf: str | None = None, name: str = "config") -> plan.Plan:
    """The plan of a command with these overrides, on made-up data where they do not choose any."""
    lines = (
        overrides if any(o.startswith(("data=", "experiment=")) for o in overrides) else ["data=synthetic", *overrides]
    )
    return planned(Request(list(lines), app.CONF, name, Path(extra_conf) if extra_conf else None, multirun))


def planned(request: Request) -> plan.Plan:
    """The plan of a request."""
    with opened(request.conf, request.extra_conf, app.NAME, request.started) as session:
        return plan.make_plan(session, request)
