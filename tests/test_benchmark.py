"""scripts/benchmark.py: its arithmetic and its tables with literal numbers, and the real command, tiny."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks import contestants, engines, floor, grid, overhead, processes, results, tables, timeline  # noqa: E402

ACCURACIES = dict(zip(grid.FIDELITY, (0.84, 0.85, 0.88, 0.89, 0.87, 0.86), strict=True))


@pytest.fixture
def measured() -> results.Results:
    """Three repeats of E and F, two of A, one of the rest."""
    samples = [results.Sample("A", n, {"wall_seconds": wall, "run_epoch_seconds": 4.0} | ACCURACIES)
               for n, wall in enumerate((480.0, 500.0), 1)]  # fmt: skip
    for n, wall in enumerate((31.0, 35.0, 30.0), 1):
        costs = {"wall_seconds": wall, "cpu_seconds": 1.9 * wall, "peak_mb": 900.4}
        costs |= dict.fromkeys(timeline.STEPS, wall / 10)
        seconds = {"run_epoch_seconds": 0.16, "run_epoch_seconds_adam": 0.2, "at_once": 2.0}
        samples += [results.Sample("E", n, costs | ACCURACIES), results.Sample("F", n, seconds | ACCURACIES)]
    samples.append(results.Sample("C", 1, missing="joblib launcher is not installed"))
    samples.append(results.Sample("D", 1, {"wall_seconds": 150.0, "run_epoch_seconds": 1.2} | ACCURACIES))
    samples.append(results.Sample("floor", 1, {"run_epoch_seconds": 0.08, "run_epoch_seconds_adam": 0.09}))
    samples.append(results.Sample("overhead packed", 1, {"seconds_of_1": 2.0, "ms_per_job": 12.5}))
    samples.append(results.Sample("engine tensorflow", 1, {"import_seconds": 6.5, "mib": 800.0, "mib_per_run": 3.25}))
    samples.append(results.Sample("engine jax", 1, missing="JAX is not installed"))
    return results.Results(samples)


@pytest.fixture
def benchmark(measured: results.Results) -> tables.Benchmark:
    machine = {"date": "2030-01-02 03:04 UTC", "processor": "A | B", "GPU": "none visible"}
    commands = {"E": "python -m fashion_sweep -m"}
    probe = {"steps_per_execution": 500, "jit": False, "tried": [{"steps_per_execution": 500, "jit": False, "s": 1.2}]}
    return tables.Benchmark("python scripts/benchmark.py", grid.Settings(20), machine, measured, commands, probe)


def row(page: str, start: str) -> list[str]:
    [line] = [line for line in page.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_medians_and_ranges(measured: results.Results) -> None:
    assert measured.median("E", "wall_seconds") == 31.0
    assert measured.spread("E", "wall_seconds") == "31.0 (30.0 to 35.0)"
    assert measured.spread("D", "wall_seconds") == "150"
    assert measured.spread("B", "wall_seconds") == "-"


def test_ratios_are_of_medians(measured: results.Results) -> None:
    assert measured.times_faster("E", "A", "wall_seconds") == 490.0 / 31.0
    assert measured.times_faster("F", "A", "run_epoch_seconds") == 25.0
    assert measured.times_faster("B", "A", "wall_seconds") is None


def test_a_mean_needs_all_of_its_parts(measured: results.Results) -> None:
    assert measured.mean_of_medians("E", grid.FIDELITY) == pytest.approx(0.865)
    assert measured.mean_of_medians("E", [*grid.FIDELITY, "other"]) is None


def test_targets_show_misses(measured: results.Results) -> None:
    verdicts = {target.text: target.verdict for target in results.targets(measured)}
    assert verdicts == {
        "E, cold, against A, wall time": "met",
        "F against A, per run-epoch": "met",
        "F against D, per run-epoch": "met",
        "floor / F": "missed",
        "overhead a job, packed": "missed",
    }
    assert results.targets(measured, on_gpu=True)[3].verdict == "not measured"
    assert {target.verdict for target in results.targets(results.Results([]))} == {"not measured"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1234"), (99.96, "100"), (3.14159, "3.14"), (0.16, "0.160"), (0.0, "0.00"), (4.2e-5, "4.20e-05")],
)
def test_numbers(value: float, text: str) -> None:
    assert results.number(value) == text


def test_settings_are_those_of_the_dataset() -> None:
    full, small = grid.Settings(20), grid.Settings(1, 501)
    assert (full.train_images, full.validation_images, full.steps) == (48_000, 12_000, 1500)
    assert (small.train_images, small.validation_images, small.steps) == (400, 101, 13)
    assert grid.PARAMETERS == 79_510
    assert full.overrides == ["epochs=20"]
    assert small.overrides == ["epochs=1", "data.limit=501"]


def test_a_time_without_accuracy_does_not_count() -> None:
    assert grid.checked_fidelity(ACCURACIES) == ACCURACIES
    without = {key: value for key, value in ACCURACIES.items() if key != "val_accuracy_adam_0.3"}
    with pytest.raises(ValueError, match=r"^no val_accuracy_adam_0\.3: a time without its accuracy does not count$"):
        grid.checked_fidelity(without)


def test_floor_of_a_run_epoch() -> None:
    fastest = dict.fromkeys((each.name for each in floor.PRODUCTS), 10e-6)  # 50 us a step, 20 us a validation chunk
    rate = 79_510 * 4 / 10e-6  # 10 us for each array of parameters
    seconds = {name: floor.run_epoch_seconds(fastest, rate, grid.Settings(20), name, 2) for name in grid.OPTIMIZERS}
    expected = {"sgd": (1500 * 80e-6 + 6 * 20e-6) / 2, "rmsprop": 0.07506, "adam": 0.09006}
    assert seconds == pytest.approx(expected)


def test_floor_takes_the_fastest_library_of_each_product() -> None:
    core = {f"{library} {each.name}": 1e-3 for library in floor.LIBRARIES for each in floor.PRODUCTS}
    core |= {"numpy x@W1": 4e-6, "tensorflow x@W1": 9e-6, "bytes_per_second": 1e10}
    found = floor.summary([core, core | {"numpy x@W1": 6e-6}], grid.Settings(20))
    assert found["numpy x@W1"] == pytest.approx(5e-6)  # the mean over the cores
    assert found["gflops_per_core"] == pytest.approx(2 * 32 * (2 * 78_400 + 3 * 1000) / 4.005e-3 / 1e9)
    means = [found[f"run_epoch_seconds_{name}"] for name in grid.OPTIMIZERS]
    assert found["run_epoch_seconds"] == pytest.approx(sum(means) / 3)


def test_runs_at_once() -> None:
    spans = [("10:00:00.000", "10:00:05.000"), ("10:00:00.100", "10:00:04.000"), ("10:00:04.000", "10:00:08.000")]
    assert contestants.most_at_once(spans) == 2
    assert contestants.most_at_once([("10:00:00", "10:00:05"), ("10:00:05", "10:00:09")]) == 1


def test_where_the_seconds_of_a_sweep_go(tmp_path: Path) -> None:
    sweep, start = SweepDir(tmp_path), 1_700_000_000.0
    (tmp_path / "report").mkdir()
    for path, at in ((sweep.plan, 2.0), (tmp_path / "report" / "index.html", 21.0)):
        path.touch()
        os.utime(path, (start + at, start + at))
    runs = []
    for name, (began, ended), seconds in (("a", (5, 15), (4, 1, 2, 1)), ("b", (6, 20), (3, 1, 1, 1))):
        (tmp_path / name).mkdir()
        lines = [f"{epoch},1,1,1,1,{each}" for epoch, each in enumerate(seconds, 1)]
        header = "epoch,loss,accuracy,val_loss,val_accuracy,seconds"
        (tmp_path / name / "history.csv").write_text("\n".join([header, *lines]) + "\n")
        times = [datetime.fromtimestamp(start + at, timezone.utc).isoformat() for at in (began, ended)]
        runs.append((RunRecord(name, "0" * 64, started=times[0], ended=times[1]), RunDir(tmp_path / name)))
    assert timeline.steps(start, 22.5, sweep, runs, 2) == pytest.approx(
        {
            "plan": 2,
            "lanes": 3,
            "first_epochs": (3 + 2) / 2,
            "epochs": (8 + 6 - 5) / 2,
            "around": 15 - 7,
            "report": 1,
            "end": 1.5,
        }
    )


def test_overhead_subtracts_the_time_of_one_job() -> None:
    assert overhead.per_job(2.0, 21.9, 200) == pytest.approx(
        {"seconds_of_1": 2.0, "seconds_of_all": 21.9, "ms_per_job": 100}
    )
    assert overhead.why_not("basic") == ""


def test_page(benchmark: tables.Benchmark) -> None:
    page = tables.markdown(benchmark)
    assert "48,000 training and 12,000 validation images" in page
    assert row(page, "E")[2:] == ["31.0 (30.0 to 35.0)", "15.8x", "1.90", "900", "-", "-", "0.8650", "0.8900"]
    assert row(page, "F")[6:] == ["0.160 (0.160 to 0.160)", "25.0x", "0.8650", "0.8900"]
    assert row(page, "C")[1].endswith("(joblib launcher is not installed)")
    assert row(page, "floor / F") == ["floor / F", "at least 0.7", "0.500", "missed"]
    assert row(page, "overhead a job, packed") == ["overhead a job, packed", "below 10 ms", "12.5 ms", "missed"]
    assert row(page, timeline.STEPS["around"])[1] == "3.10 (3.00 to 3.50)"
    assert row(page, "adam") == ["adam", "0.0900", "0.200 (0.200 to 0.200)", "45%"]
    assert row(page, "tensorflow") == ["tensorflow", "6.50", "-", "-", "-", "800", "3.25", ""]
    assert row(page, "jax")[-1] == "JAX is not installed"
    assert "(F: 2)" in page
    assert r"| processor | A \| B |" in page
    assert "which this is not" not in page


def test_page_of_a_smaller_try_says_so(measured: results.Results) -> None:
    page = tables.markdown(tables.Benchmark("it", grid.Settings(1, 500), {}, measured, {}))
    assert "The targets are for 20 epochs of all images, which this is not. With one epoch" in page


def test_csv_has_every_number(benchmark: tables.Benchmark) -> None:
    rows = list(csv.DictReader(tables.csv_text(benchmark).splitlines()))
    assert [each["value"] for each in rows if (each["line"], each["quantity"]) == ("E", "wall_seconds")] == [
        "31.0",
        "35.0",
        "30.0",
    ]
    assert {"line": "C", "repeat": "1", "quantity": "missing", "value": "joblib launcher is not installed"} in rows
    assert {"line": "about", "repeat": "", "quantity": "epochs", "value": "20"} in rows


def test_a_command_that_fails_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; [print(n) for n in range(40)]; sys.exit('no such luck')"
    with pytest.raises(processes.CommandError) as caught:
        processes.run([sys.executable, "-c", code], tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("exit code 1 of: python -c ")
    assert lines[1:] == [*(f"    {n}" for n in range(26, 40)), "    no such luck"]


def test_a_command_that_fails_ends_those_beside_it(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(processes.CommandError, match=r"^exit code 3 of"):
        processes.run_together(
            [[sys.executable, "-c", code] for code in ("exit(3)", "import time; time.sleep(60)")], tmp_path
        )
    assert time.monotonic() - started < 30


def test_commands_can_be_repeated(tmp_path: Path) -> None:
    assert (
        processes.shown(processes.program("notes", "--epochs", "1"))
        == "PYTHONPATH=scripts python -m benchmarks.notes --epochs 1"
    )
    assert processes.shown([sys.executable, f"dir={tmp_path}/a b"], tmp_path) == "python 'dir=FOLDER/a b'"


def benchmark_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def test_a_wrong_section_is_reported(tmp_path: Path) -> None:
    ended = benchmark_command(tmp_path, "--only", "E,Z")
    assert ended.returncode == 2
    assert "Z: expected some of A,B,C,D,E,F,floor,overhead,engines" in ended.stderr


@pytest.mark.slow
def test_the_real_command(tmp_path: Path) -> None:
    settings = ["--epochs", "2", "--limit", "500", "--repeats", "1", "--only", "E,F,floor"]
    ended = benchmark_command(tmp_path, *settings, "--output", "page.md", "--csv", "numbers.csv")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    page = (tmp_path / "page.md").read_text()
    assert page in ended.stdout
    assert row(page, "E")[8] == row(page, "F")[8] != "-"
    assert row(page, "all six runs")[3].endswith("%")
    numbers = list(csv.DictReader((tmp_path / "numbers.csv").open()))
    assert {each["line"] for each in numbers} >= {"about", "command", "E", "F", "floor"}
    found = {each["quantity"]: float(each["value"]) for each in numbers if each["line"] == "E"}
    assert sum(found[step] for step in timeline.STEPS) == pytest.approx(found["wall_seconds"])
    assert all(found[step] > 0 for step in ("plan", "lanes", "epochs", "around", "end"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["numbers.csv", "page.md"]


@pytest.mark.slow
def test_what_an_engine_costs(tmp_path: Path) -> None:
    found, command = engines.measure("tensorflow", 500, tmp_path)
    assert list(found) == list(engines.QUANTITIES)
    assert 0 < found["epoch_seconds"] < found["first_epoch_seconds"] < found["wall_seconds"]
    assert found["import_seconds"] > 0
    assert abs(found["mib_per_run"]) < found["mib"]
    assert "trainer.engine=tensorflow" in command
