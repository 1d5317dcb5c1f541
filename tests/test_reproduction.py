"""Training a run again from its folder: real runs, whose folders are altered as changes over time would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sweeping
from fixture_types import Command, Compose
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optional import present
from test_resume import contents

from fashion_sweep import app
from fashion_sweep.analysis import history_diff
from fashion_sweep.cli import reproduce
from fashion_sweep.planning import changes, run_spec
from fashion_sweep.storage.provenance import THREADS
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir
from fashion_sweep.training.train import RunSpec, train

SCRIPT = Path(__file__).parents[1] / "scripts" / "reproduce.py"


def rows(*losses: float | None, **more: float) -> list[dict[str, float | None]]:
    return [{"epoch": number, "loss": loss, **more} for number, loss in enumerate(losses, 1)]


class TestAgreement:
    def test_the_largest_differences_and_their_epochs(self) -> None:
        [gap] = history_diff.differences(rows(4.0, 1.0, 0.5), rows(5.0, 1.0, 0.25))
        assert (gap.absolute, gap.absolute_epoch, gap.relative, gap.relative_epoch) == (1.0, 1, 0.5, 3)
        assert str(gap) == "loss: differs by up to 1 (epoch 1), relative difference up to 0.5 (epoch 3)"

    def test_equal_numbers_and_equal_nans_are_identical(self) -> None:
        nan, infinite = float("nan"), float("inf")
        [gap] = history_diff.differences(rows(0.1, 0.0, nan, infinite), rows(0.1, -0.0, nan, infinite))
        assert str(gap) == "loss: identical to the last digit"
        [gap] = history_diff.differences(rows(0.1, None), rows(0.1, 0.5))
        assert (gap.absolute, gap.relative, gap.absolute_epoch) == (float("inf"), float("inf"), 2)

    def test_learning_rates_are_compared_and_seconds_are_not(self) -> None:
        found = history_diff.differences(
            rows(1.0, learning_rate=0.1, seconds=3.0), rows(1.0, learning_rate=0.2, seconds=4.0)
        )
        assert [(gap.metric, gap.absolute) for gap in found] == [("loss", 0.0), ("learning_rate", 0.1)]

    def test_epochs_and_columns_missing_in_one_history(self) -> None:
        assert list(history_diff.missing(rows(1.0), rows(1.0, 1.0))) == ["epoch 2: missing in the original"]
        assert list(history_diff.missing(rows(1.0, 1.0, 1.0), rows(1.0))) == [
            "epochs 2 to 3: missing in the new history"
        ]
        assert list(history_diff.missing(rows(1.0, learning_rate=1.0), rows(1.0))) == [
            "learning_rate: missing in the new history"
        ]
        assert history_diff.differences([], rows(1.0)) == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty. Restores what the command changes in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(THREADS, "1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two epochs, as Hydra and training leave it."""
    lines = ["trainer=fit", "data=synthetic", "data.samples=320", "data.image_size=8", "epochs=2", "save=none"]
    with initialize_config_dir(str(app.CONF), version_base="1.3"):
        config = compose("config", lines, return_hydra_config=True)
    run, plain = RunDir(tmp_path_factory.mktemp("trained") / "old"), run_spec.resolved(config)
    choices, code = run_spec.group_choices(config.hydra), changes.code_of([plain])
    train([RunSpec(run.path, plain, choices, ["epochs=2"], run_spec.identity_of(plain), code=code)])
    run.composed.parent.mkdir()
    OmegaConf.save(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), run.composed)
    return run.path


@pytest.fixture
def original(trained: Path, here: Path) -> RunDir:
    """A copy of that run in the current folder, ``old``."""
    shutil.copytree(trained, here / "old")
    return RunDir(Path("old"))


def altered(run: RunDir, **values: object) -> None:
    """Give the record of a run other values."""
    run.record.write_text(json.dumps(json.loads(run.record.read_text()) | values))


def one_digit_off(run: RunDir) -> None:
    """Make the first loss of a history a ten-thousandth larger."""
    history = run.read_history()
    run.write_history([{**row, "loss": row["loss"] * (1.0001 if row["epoch"] == 1 else 1)} for row in history])


def reproduced(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of the command."""
    try:
        reproduce.main(list(arguments))
    except SystemExit as stopped:
        return int(stopped.code or 0), capsys.readouterr().out.splitlines()
    return 0, capsys.readouterr().out.splitlines()


class TestOneRun:
    def test_it_is_identical_and_can_be_reproduced_again(
        self, original: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = contents(original.path)
        code, lines = reproduced(capsys, "old")
        assert (code, lines[-1]) == (0, "result    reproduced, identical to the last digit")
        assert [line for line in lines if line.startswith(("code", "versions", "data", "device", "config"))] == []
        assert lines[1] == "new run   outputs/reproductions/old"
        assert contents(original.path) == before
        again = reproduced(capsys, "outputs/reproductions/old")
        assert again[0] == 0
        assert again[1][:2] == ["run       outputs/reproductions/old (completed)",
                                "new run   outputs/reproductions/old_2"]  # fmt: skip

    def test_an_unexplained_difference(self, original: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
        one_digit_off(original)
        code, lines = reproduced(capsys, "old")
        assert (code, lines[-1]) == (1, "result    not reproduced, and no change explains it")
        assert "history   accuracy: identical to the last digit" in lines
        [loss] = [line for line in lines if line.startswith("history   loss")]
        assert loss.endswith("(epoch 1), relative difference up to 0.0001 (epoch 1)")

    @pytest.mark.parametrize(("tolerance", "code"), [("1e-3", 0), ("1e-5", 1)])
    def test_a_tolerance_applies_even_if_something_has_changed(
        self, original: RunDir, capsys: pytest.CaptureFixture[str], tolerance: str, code: int
    ) -> None:
        one_digit_off(original)
        altered(original, versions={"keras": "2.0"})
        assert reproduced(capsys, "old", "--tolerance", tolerance)[0] == code

    def test_changes_are_listed_and_explain_a_difference(
        self, original: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one_digit_off(original)
        device = {"kind": "TPU", "name": "v4", "host": "elsewhere", "threads": 1}
        altered(original, versions={"keras": "2.0"}, git={"commit": "0123456789abcdef", "dirty": False}, code="0" * 64,
                device=device, pack=3)  # fmt: skip
        code, lines = reproduced(capsys, "old", "--output", "new")
        assert code == 0
        assert lines[-1] == (
            "result    trained again; the histories may differ because these have changed: versions, code, device, pack"
        )
        text = "\n".join(lines)
        assert "versions  keras: then 2.0, now " in text
        assert "git       then 0123456789, now " in text
        assert "code      other source files than then" in text
        assert "device    kind: then TPU, now CPU" in text
        assert "device    host: then elsewhere, now " in text
        assert "pack      then trained together with 2 others, now alone: sums round differently" in text

    def test_an_interrupted_run_is_compared_up_to_its_last_epoch(
        self, original: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        original.write_history(original.read_history()[:1])
        altered(original, status="interrupted", reason="stopped after epoch 1")
        code, lines = reproduced(capsys, "old")
        assert code == 0
        assert lines[-2:] == ["history   epoch 2: missing in the original",
                              "result    reproduced, identical to the last digit"]  # fmt: skip

    def test_a_completed_run_with_too_few_epochs_is_not_reproduced(
        self, original: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        original.write_history(original.read_history()[:1])
        assert reproduced(capsys, "old")[0] == 1

    def test_data_and_values_of_the_environment_that_have_changed(
        self, original: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = present(original.read_record())
        altered(original, data={"fingerprint": "f" * 64}, config=record.config | {"seed": "<redacted int>"})
        original.composed.write_text(original.composed.read_text().replace("\nseed: 0\n", "\nseed: ${oc.env:SEED}\n"))
        monkeypatch.setenv("SEED", "4321")
        code, lines = reproduced(capsys, "old")
        assert code == 0
        assert "data      another dataset: fingerprint then ffffffffff, now " in "\n".join(lines)
        assert any(line.startswith("config    not what was trained: an environment variable") for line in lines)
        new = present(RunDir(Path("outputs/reproductions/old")).read_record())
        assert (new.seed, new.config["seed"]) == (4321, "<redacted int>")

    def test_a_run_that_fails(self, original: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
        original.composed.write_text(original.composed.read_text().replace("activation: relu", "activation: nonsense"))
        code, lines = reproduced(capsys, "old")
        assert code == 1
        assert lines[-1].startswith("result    the run failed: model fashion_sweep.models.mlp cannot be built")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["empty"], "empty: no run.json in it; expected the folder of a run"),
        (["sweep"], "sweep: this is a sweep's folder; give one of its runs, such as sweep/a_00000000"),
        (["run", "--output", "sweep"], "sweep: not an empty folder; choose another --output"),
        (
            ["run", "--output", "run/run.json/x"],
            "run/run.json/x: cannot be created (Not a directory); choose another --output",
        ),
    ],
)
def test_errors_are_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], composed: Compose, arguments: list[str], text: str
) -> None:
    (here / "empty").mkdir()
    Path("sweep").mkdir(parents=True, exist_ok=True)
    SweepDir(Path("sweep")).write_plan("", [PlannedRun("a_00000000", [], "0" * 64)])
    config = run_spec.resolved(composed("data=synthetic", "data.samples=320", "data.image_size=8"))
    Path("run").mkdir(parents=True, exist_ok=True)
    RunDir(Path("run")).write_record(RunRecord("run", "0" * 64, Status.COMPLETED, config=config))
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(arguments)
    captured = capsys.readouterr()
    assert (stopped.value.code, captured.out) == (2, "")
    assert captured.err.startswith(f"error: {text}")
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_a_run_of_a_sweep_in_lanes_is_identical_to_the_last_digit(command: Command, tmp_path: Path) -> None:
    tiny = ("data=synthetic", "data.samples=640", "data.image_size=8", "epochs=3", "model.dropout=0.3")
    swept = command("-m", "seed=0,1", *tiny, "hydra.sweep.dir=s")
    assert swept.returncode == 0, swept.stderr
    run = SweepDir(tmp_path / "s").run_dirs()[1]
    before = contents(tmp_path / "s")
    words = [sys.executable, str(SCRIPT), f"s/{run.path.name}", "--output", "again"]
    done = subprocess.run(words, cwd=tmp_path, env=sweeping.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "result    reproduced, identical to the last digit"
    assert contents(tmp_path / "s") == before
    old, new = run.read_history(), RunDir(tmp_path / "again").read_history()
    assert [{**row, "seconds": 0} for row in old] == [{**row, "seconds": 0} for row in new]
    assert len(new) == 3
    assert present(RunDir(tmp_path / "again").read_record()).device == present(run.read_record()).device
