"""How the tests of the launcher launch batches, and look at what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode


class Launch:
    """Launches batches as a sweeper does, but looks at every JobReturn instead of raising the first failure.

    options: overrides of hydra.launcher, or of anything else of the hydra node.
    """

    def __init__(self, folder: Path, task: Callable[..., Any], *options: str) -> None:
        self.folder = folder
        own = [each if "hydra" in each else f"hydra.launcher.{each}" for each in options]
        launcher = [] if any(each.startswith("hydra/launcher=") for each in own) else ["hydra/launcher=packed"]
        lines = [*launcher, f"hydra.sweep.dir={folder}", *own]
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(None, lines, RunMode.MULTIRUN)
        context = HydraContext(loader, Callbacks(config))
        self.launcher: Any = Plugins.instance().instantiate_launcher(context, task, config)

    def __call__(self, *jobs: str, first: int = 0) -> list[JobReturn]:
        """One job a string of overrides, separated by blanks."""
        return list(self.launcher.launch([job.split() for job in jobs], first))


def errors(returns: Sequence[JobReturn]) -> list[Exception | None]:
    return [each._return_value if each.status is JobStatus.FAILED else None for each in returns]


def values(returns: Sequence[JobReturn]) -> list[Any]:
    return [None if each.status is JobStatus.FAILED else each.return_value for each in returns]


def lines(folder: Path, number: int, name: str) -> list[str]:
    return (folder / str(number) / name).read_text().splitlines()
