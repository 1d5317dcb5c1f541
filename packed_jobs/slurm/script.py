"""The script that sbatch is given."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from packed_jobs.slurm.options import SlurmOptions

MODULE = "packed_jobs.slurm.task_main"
"""What an array task runs."""


def batch_script(
    options: SlurmOptions, *, name: str, folder: Path, logs: Path, python: Sequence[str], import_path: Sequence[str]
) -> str:
    """The script of an array, whose first argument is the number of the array's first task.

    name: of the job; folder: of the submission; logs: folder of the tasks' output; python: words that start Python
    where the options do not say; import_path: folders that Python searches before all others. Python takes the place of
    the shell, so that the signals of Slurm (``B:``) reach it.
    """
    start = options.python or shlex.join(python)
    where = "".join(f"{shlex.quote(each)}:" for each in import_path)
    return "\n".join([
        "#!/bin/bash",
        *(f"#SBATCH {line}" for line in _parameters(options, name, logs)),
        *options.setup,
        f"cd {shlex.quote(str(folder))}",  # Python searches the current folder for modules
        "trap '' USR1",  # until Python listens, the signal must not end it
        *([f"export PYTHONPATH={where}$PYTHONPATH"] if where else []),
        f"exec {start} -m {MODULE} {shlex.quote(str(folder))} $((${{1:-0}} + SLURM_ARRAY_TASK_ID))",
        "",
    ])  # fmt: skip


def _parameters(options: SlurmOptions, name: str, logs: Path) -> Iterator[str]:
    pattern = f"{str(logs).replace('%', '%%')}/%A_%a.log"
    mem = None if options.mem_gb is None else f"{round(options.mem_gb * 1024)}M"
    given: dict[str, str | int | float | bool | None] = {
        "job_name": name, "output": pattern, "open_mode": "append", "nodes": 1, "ntasks": 1, "requeue": True,
        "time": options.timeout_min, "signal": f"B:USR1@{options.signal_delay_s}",
        "cpus_per_task": options.cpus_per_task, "mem": mem, "gpus_per_node": options.gpus_per_node,
        "gres": options.gres, "partition": options.partition, "qos": options.qos, "account": options.account,
        "constraint": options.constraint, "exclude": options.exclude,
    }  # fmt: skip
    for key, value in (given | dict(options.additional_parameters)).items():
        if value is True:
            yield f"--{key.replace('_', '-')}"
        elif value is not None and value is not False:
            yield f"--{key.replace('_', '-')}={shlex.quote(str(value))}"
