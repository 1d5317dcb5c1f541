"""The launcher: Hydra's own conformance suites, what a job gets, and packs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import launcher_app
import pytest
from hydra import version
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from launching import Launch, errors, lines, values
from optional import present

from packed_jobs import JobExitedError
from packed_jobs.packs import PackSize, form
from packed_jobs.task import PickledJob, PlannedJob


def test_hydra_finds_the_launcher() -> None:
    assert "PackedLauncher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


@pytest.fixture
def hydra_1_1() -> Iterator[None]:
    """What Hydra's suites expect, and what they get where no @hydra.main asks for more: jobs change their folder."""
    before = version.getbase()
    version.setbase("1.1")
    yield
    version.setbase(str(before))


@pytest.mark.usefixtures("hydra_1_1")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("packed", ["hydra.launcher.lanes=2"])])
class TestConformance(LauncherTestSuite):
    pass


@pytest.mark.usefixtures("hydra_1_1")
@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("packed", ["hydra.launcher.lanes=1", "hydra.sweeper.max_batch_size=2"])]
)
class TestConformanceOfBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        (
            {
                "defaults": [
                    {"override hydra/launcher": "packed"},
                    {"override hydra/hydra_logging": "hydra_debug"},
                    {"override hydra/job_logging": "disabled"},
                ]
            },
            ["-m", "hydra.launcher.lanes=1"],
        )
    ],
)
class TestConformanceOfPrograms(IntegrationTestSuite):
    pass


def test_returns_come_in_input_order_with_all_that_hydra_promises(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=2")
    returns = batch("+do=a", "+do=b", "+do=c", first=5)
    assert values(returns) == ["a", "b", "c"]
    last = returns[2]
    assert (last.overrides, last.task_name) == (["+do=c"], "app")
    assert last.cfg == {"do": "c"}
    hydra = present(last.hydra_cfg).hydra
    assert (hydra.job.num, hydra.job.id) == (7, "7")
    assert hydra.runtime.output_dir == str(batch.folder / "7")
    assert sorted(path.name for path in (batch.folder / "7" / ".hydra").iterdir()) == [
        "config.yaml", "hydra.yaml", "overrides.yaml",
    ]  # fmt: skip


def test_a_lane_keeps_its_state_from_batch_to_batch(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    [(pid, first)] = values(batch("+do=remember"))
    assert values(batch("+do=remember", first=1)) == [(pid, first + 1)]


def test_a_job_that_fails_or_exits_costs_itself_alone(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    returns = batch("+do=raise", "+do=exit", "+do=fine", "+do=raise_oddly", "+do=lock")
    failure, exited, none, odd, lock = errors(returns)
    assert (type(failure), str(failure)) == (ValueError, "no such luck")
    assert "in fail\n" in str(present(failure).__cause__)
    assert (type(exited), str(exited)) == (JobExitedError, "the job called sys.exit(3)")
    assert (none, values(returns)[2]) == (None, "fine")
    assert str(odd) == "OddError: this and that"
    assert str(lock).startswith("the job returned a lock, which cannot be sent from its lane: ")
    assert len({lines(batch.folder, number, "tries")[0] for number in range(5)}) == 1  # one process
    assert "ValueError: no such luck" in lines(batch.folder, 0, "app.log")


def test_jobs_with_one_key_train_together(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=x +group=g", "+do=lone", "+do=raise +group=g", "+do=y +group=h", "+do=z +group=g")
    first, lone, failed, other, last = returns
    assert first.return_value == ([0, 2, 4], ["warm"], str(batch.folder / "0"))
    assert last.return_value == ([0, 2, 4], ["warm"], str(batch.folder / "4"))
    assert (lone.return_value[0], other.return_value[0]) == ([1], [3])
    assert str(errors([failed])[0]) == "job 2"
    assert last.cfg == {"do": "z", "group": "g"}
    assert last.overrides == ["+do=z", "+group=g"]
    assert present(last.hydra_cfg).hydra.job.num == 4


def test_each_job_of_a_pack_has_a_log_of_its_own(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    batch("+do=x +group=g", "+do=raise +group=g")
    logged = [[line.rpartition("] - ")[2] for line in lines(batch.folder, job, "app.log")] for job in (0, 1)]
    assert logged[0] == ["2 jobs run together: #0, #1", "to all", "to job 0", "Job #0 ended"]
    assert logged[1] == ["2 jobs run together: #0, #1", "to all", "to job 1", "Job #1 failed", "ValueError: job 1"]


def test_callbacks_and_environment_hold_for_each_job_of_a_pack(launch: Callable[..., Launch]) -> None:
    callback = "+hydra.callbacks.noting._target_=launcher_app.Noting"
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8", callback, "+hydra.job.env_set.FLAVOUR=mint")
    returns = batch("+do=x +group=g", "+do=raise +group=g", "+do=flavour +group=g")
    assert lines(batch.folder, 0, "calls") == ["start", "end COMPLETED"]
    assert lines(batch.folder, 1, "calls") == ["start", "end FAILED"]
    assert returns[2].return_value == "mint"


def test_a_job_that_cannot_be_opened_leaves_its_pack_alone(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8", "hydra.sweep.subdir=${name}")
    returns = batch("+do=x +group=g +name=one", "+do=y +group=g", "+do=z +group=g +name=three")
    assert "Interpolation key 'name' not found" in str(errors(returns)[1])
    assert [value and value[0] for value in values(returns)] == [[0, 2], None, [0, 2]]


@pytest.mark.parametrize(("jobs", "expected"), [(2, "the job called sys.exit(4)"), (3, "the job called sys.exit(4)")])
def test_a_pack_that_fails_as_a_whole_fails_each_job(launch: Callable[..., Launch], jobs: int, expected: str) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    found = errors(batch(*["+do=exit +group=g"] * jobs, "+do=fine"))
    assert [str(error) for error in found] == [expected] * jobs + ["None"]


def test_a_large_pack_opens_within_the_stack(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=300", "hydra/job_logging=none")
    returns = batch(*["+do=x +group=g"] * 300)
    assert [len(value[0]) for value in values(returns)] == [300] * 300


def test_jobs_without_a_result_run_again_alone(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.shallow, "lanes=1", "pack_size=120", "hydra/job_logging=none")
    returns = batch(*["+do=x +group=g"] * 120)
    assert len(returns) == 120  # those whose opening met the end of the stack have failed
    assert any(value is not None and len(value[0]) == 1 for value in values(returns))


def test_jobs_that_change_their_folder_are_not_packed(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8", "hydra.job.chdir=true")
    assert [value[0] for value in values(batch("+do=x +group=g", "+do=y +group=g"))] == [[0], [1]]


def test_a_job_has_what_was_prepared_for_it(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=payload +group=g", "+do=payload", "+do=payload +group=g", first=3)
    assert values(returns) == [
        (["+do=payload", "+group=g"], 3),
        (["+do=payload"], 4),
        (["+do=payload", "+group=g"], 5),
    ]


def test_a_job_that_cannot_be_prepared_fails_alone(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=unprepared +group=g", "+do=lock", "+do=unhashable", "+do=fine +group=g")
    unprepared, unpicklable, unhashable, fine = errors(returns)
    assert (type(unprepared), str(unprepared), fine) == (ValueError, "no such job", None)
    assert str(unpicklable) == "cannot pickle '_thread.lock' object"
    assert str(unhashable) == "unhashable type: 'list'"
    assert returns[0].cfg == {"do": "unprepared", "group": "g"}
    assert returns[0].overrides == ["+do=unprepared", "+group=g"]
    reason = "unprepared: the job could not be prepared: ValueError: no such job"
    assert (batch.folder / "0" / "lost").read_text().splitlines() == [reason]
    assert values(returns)[3][0] == [3]


def test_a_payload_that_cannot_be_loaded_fails_its_job_alone(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=x +group=g", "+do=unloadable +group=g", "+do=y +group=g")
    assert str(errors(returns)[1]) == "the job could not be opened: RuntimeError: only the parent can have this"
    assert lines(batch.folder, 1, "lost") == [f"unloadable: {errors(returns)[1]}"]
    assert [value and value[0] for value in values(returns)] == [[0, 2], None, [0, 2]]


def test_fail_fast_starts_nothing_after_a_job_that_cannot_be_prepared(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "fail_fast=true")
    failed, rest = errors(batch("+do=unprepared", "+do=fine"))
    assert (str(failed), str(rest)) == ("no such job", "not started: fail_fast, and a job before it failed")
    assert not (batch.folder / "1").exists()


def test_a_task_may_give_its_jobs_their_numbers(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=x +group=g +n=7", "+do=y +group=g", "+do=payload +n=3", first=1)
    assert [present(each.hydra_cfg).hydra.job.num for each in returns] == [7, 2, 3]
    assert [present(each.hydra_cfg).hydra.job.id for each in returns] == ["7", "2", "3"]
    assert values(returns)[0][::2] == ([7, 2], str(batch.folder / "7"))
    assert values(returns)[2] == (["+do=payload", "+n=3"], 3)


def planned(*costs: float, keys: str) -> list[PlannedJob]:
    """Jobs with these costs and keys of one letter; a dash is a job without key."""
    given = zip(costs, keys, strict=True)
    return [PlannedJob(PickledJob(i, b""), i, None if key == "-" else key, cost) for i, (cost, key) in enumerate(given)]


@pytest.mark.parametrize(
    ("costs", "keys", "pack_size", "lanes", "expected"),
    [
        ([1, 3, 2], "---", 1, 2, [[1], [2], [0]]),  # longest first
        ([1, 1, 1], "---", 8, 2, [[0], [1], [2]]),  # no key: alone, in input order
        ([1] * 5, "aaaaa", 4, 1, [[0, 1, 2], [3, 4]]),  # as equal as possible
        ([1] * 4, "aaaa", 8, 2, [[0, 1], [2, 3]]),  # no lane is left idle
        ([1] * 6, "aaabbb", 3, 2, [[0, 1, 2], [3, 4, 5]]),
        ([1] * 6, "aabbcc", 2, 4, [[2, 3], [4, 5], [0], [1]]),
        ([1] * 3, "aaa", 1, 2, [[0], [1], [2]]),
    ],
)
def test_packs_are_formed(costs: list[float], keys: str, pack_size: int, lanes: int, expected: list[list[int]]) -> None:
    packs = form(planned(*costs, keys=keys), PackSize(pack_size), lanes)
    assert [[job.index for job in pack] for pack in packs] == expected


@pytest.mark.parametrize(
    ("jobs", "sizes"), [(300, [75] * 4), (200, [100, 100]), (127, [127]), (600, [200, 200, 100, 100])]
)
def test_packs_that_fill_a_gpu_are_not_halved_for_lanes_that_share_it(jobs: int, sizes: list[int]) -> None:
    packs = form(planned(*[1.0] * jobs, keys="a" * jobs), PackSize(256, least=64), 4)
    assert sorted(map(len, packs), reverse=True) == sizes


def test_a_given_pack_size_limits_both_sizes() -> None:
    assert PackSize(256, least=64).limited(None) == (256, 64)
    assert PackSize(256, least=64).limited(8) == (8, 8)
    assert PackSize(1).limited(8) == (8, 1)
