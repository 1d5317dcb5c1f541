"""``plan=true``: what a command would train, what is done already, and how long the rest may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.planning import elsewhere, resume
from fashion_sweep.planning.estimate import Estimate, estimate, makespan, past_runs
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.request import lasting
from fashion_sweep.storage.lease import living_owner
from fashion_sweep.storage.plain_text import clean, clean_lines
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.train import record_of
from fashion_sweep.training.trainer import trainer_of
from packed_jobs import Preview, preview

MINUTE_S, HOUR_S = 60, 3600


def show(planned: Plan, console: Console) -> None:
    """Print every run of a plan, what is done, how the rest is spread over lanes, and an estimate."""
    records = {spec.identity: record_of(spec) for spec in planned.runs}
    others = elsewhere.trained(planned, records)
    due = [spec for spec in planned.runs if spec.identity not in others and resume.is_due(spec, records[spec.identity])]
    console.print(_table(planned, records, others))
    for line in (_counts(planned, records, due), _owner(planned), *_how(planned, due)):
        if line:
            console.print(clean_lines(line), markup=False, highlight=False, soft_wrap=True)


def _table(planned: Plan, records: Mapping[str, RunRecord | None], others: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "state", "overrides"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "state")
    for spec in planned.runs:
        given = " ".join(lasting(spec.overrides))
        by = others.get(spec.identity)
        now = state(spec, records[spec.identity]) if by is None else f"left to {clean(by)}"
        table.add_row(escape(spec.name), escape(now), escape(given))
    return table


def state(spec: RunSpec, record: RunRecord | None) -> str:
    """What a command would do with a run, in a few words."""
    if record is None:
        return "to train"
    was = "interrupted" if record.status is Status.RUNNING else record.status.value
    if not resume.is_due(spec, record):
        return "completed" if record.status is Status.COMPLETED else f"{was}, left as it is"
    if RunDir(spec.folder).state.exists():
        return f"{was}, to go on"
    return f"{was}, to train again"


def _counts(planned: Plan, records: Mapping[str, RunRecord | None], due: Sequence[RunSpec]) -> str:
    done = Counter(record.status.value for record in records.values() if record is not None)
    found = [f"{count} {status}" for status, count in sorted(done.items())]
    twice = len(planned.specs) - len(planned.runs)
    double = [f"{twice} grid point{'s' if twice > 1 else ''} given twice, trained once"] if twice else []
    kind = "Sweep" if planned.is_sweep else "Run"
    if not planned.specs:
        return f"{kind} {planned.folder}: the sweeper chooses the runs one after another"
    return f"{kind} {planned.folder}: " + ", ".join(
        [f"{len(planned.runs)} runs", *found, f"{len(due)} to train", *double]
    )


def _owner(planned: Plan) -> str:
    owner = living_owner(planned.folder)
    return f"The folder is in use by {owner}" if owner else ""


def _how(planned: Plan, due: Sequence[RunSpec]) -> Iterator[str]:
    if not due:
        return
    found = estimate(due, past_runs(planned.folder))
    spread = _spread(planned, due, found)
    if spread is not None:
        sizes = Counter(len(pack) for pack in spread.packs)
        packs = [f"{count} packs of {size}" for size, count in sorted(sizes.items(), reverse=True) if size > 1]
        alone = [f"{sizes[1]} runs alone"] if sizes[1] else []
        where = f"{len(spread.lanes)} ({'; '.join(spread.lanes)})"
        lanes = f"Lanes: {where}" if not spread.tasks else _tasks(spread.tasks)
        yield f"{lanes}. Packs: {', '.join([*packs, *alone])}"
        yield spread.script
    yield _estimate_line(found, due, spread)


def _tasks(sizes: Sequence[int]) -> str:
    """sizes: how many runs each array task has."""
    spread = str(max(sizes)) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    return f"Slurm tasks: {len(sizes)}. Runs a task: {spread}"


def _spread(planned: Plan, due: Sequence[RunSpec], found: Estimate) -> Preview | None:
    """How the packed launchers spread the runs; None for others, and for a single run."""
    if not planned.has_lanes:
        return None
    trained = [(trainer_of(spec.config), spec) for spec in due]
    known = [(trainer.pack_key(spec.config), trainer.cost(spec.config)) for trainer, spec in trained]
    if not planned.is_for_slurm:
        return preview(known, planned.launcher)
    from packed_jobs.slurm import preview as slurm

    timed = [(*each, found.seconds.get(spec.identity)) for each, spec in zip(known, due, strict=True)]
    code = str(SweepDir(planned.folder).code.absolute())
    name = str(planned.config.hydra.job.name)
    return slurm.preview(timed, planned.launcher, name=name, sweep=planned.folder, import_path=[code])


def _estimate_line(found: Estimate, due: Sequence[RunSpec], spread: Preview | None) -> str:
    if not found.seconds:
        return "Time: there is no finished run of this kind in or near the folder, so no estimate"
    packs = (
        [[due[number].identity for number in pack] for pack in spread.packs] if spread else [[p.identity] for p in due]
    )
    lanes = len(spread.lanes) if spread else 1
    times = [max(found.seconds.get(identity, 0.0) for identity in pack) for pack in packs]
    memory = f", {found.memory_mib / 1024:.1f} GiB in each of {lanes} processes" if found.memory_mib else ""
    missing = len(due) - len(found.seconds)
    without = f"; without {missing} runs of kinds not seen before" if missing else ""
    return (
        f"Time: about {duration(makespan(times, lanes))} of training{memory} (from {found.based_on} past runs){without}"
    )


def duration(seconds: float) -> str:
    """Seconds as people say them: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE_S)
    return f"{minutes} min" if seconds < 2 * HOUR_S else f"{minutes // 60} h {minutes % 60} min"
