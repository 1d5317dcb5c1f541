"""Values of environment variables are used in training and written nowhere: files, names and logs of real commands."""

from __future__ import annotations

import csv
import json
import logging
import os
import traceback
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty import Raise
from fixture_types import Command, Compose, MakeSpec
from omegaconf.errors import OmegaConfBaseException
from optional import present

from fashion_sweep.config import recorded
from fashion_sweep.config.redaction import Redaction, redacted_errors, redacted_logs, restored
from fashion_sweep.errors import DataError, FolderError
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

TOKEN = "hunter2secret"

LEAKY_CALLBACK = '''
import logging

import keras


class Leaky(keras.callbacks.Callback):
    """Logs its token, and may fail with it in the message."""

    def __init__(self, token, fails):
        super().__init__()
        self.token, self.fails = token, fails

    def on_epoch_end(self, epoch, logs=None):
        logging.getLogger(__name__).warning("logged in with %s and %r", self.token, {"token": self.token})
        if self.fails:
            raise ValueError(f"no access\\nfor {self.token!r}")
'''


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("RATE", "0.0125")
    monkeypatch.setenv("SEED", "4321")
    monkeypatch.delenv("NOT_SET", raising=False)


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes; of an archive those of its members too."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


def holders(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, in their name or in any encoding that is written here."""
    spellings = [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    inside = {path for path in files for data in contents(path) if any(each in data for each in spellings)}
    return sorted(str(path.relative_to(folder)) for path in files if path in inside or text in str(path))


class TestConfig:
    @pytest.mark.usefixtures("environment")
    def test_values_from_the_environment_are_found_however_they_are_referenced(self, composed: Compose) -> None:
        config = composed(
            "data=npz",
            "data.path=/x/${oc.env:TOKEN}/y.npz",
            "optimizer.learning_rate=${oc.env:RATE}",
            "seed=${oc.env:SEED}",
            "+callbacks.a={_target_: x.Y, b: '${data.path}', c: [1, '${oc.env:NOT_SET,fallback}'], d: plain}",
            "+callbacks.b=${callbacks.a}",
            "+callbacks.c._target_=${callbacks.b.d}",
        )
        hidden = Redaction.of(config)
        found = {".".join(map(str, path)) for path in hidden.paths}
        callbacks = {f"callbacks.{name}.{key}" for name in "ab" for key in ("b", "c.1")}
        assert found == {"data.path", "optimizer.learning_rate", "seed"} | callbacks
        assert hidden.values == {TOKEN, f"/x/{TOKEN}/y.npz", "0.0125", "4321", "fallback"}
        plain = run_spec.resolved(config)
        assert (plain["seed"], plain["optimizer"]["learning_rate"]) == (4321, 0.0125)
        shown = hidden.in_config(plain)
        assert shown["data"]["path"] == "<redacted>"
        assert shown["seed"] == "<redacted int>"
        assert shown["optimizer"]["learning_rate"] == "<redacted float>"
        assert shown["callbacks"]["b"] == {"_target_": "x.Y", "b": "<redacted>", "c": [1, "<redacted>"], "d": "plain"}
        assert shown["model"] == plain["model"]

    def test_a_config_without_such_values_is_unchanged(self, composed: Compose) -> None:
        config = composed()
        hidden = Redaction.of(config)
        assert hidden == Redaction()
        assert hidden.in_config(run_spec.resolved(config)) == run_spec.resolved(config)

    @pytest.mark.usefixtures("environment")
    def test_identities_use_the_real_values_and_names_are_redacted(self, composed: Compose, tmp_path: Path) -> None:
        real, typed = ["seed=4321"], ["seed=${oc.env:SEED}"]
        names = []
        for lines in (real, typed):
            config = composed("data=synthetic", *lines)
            settled = run_spec.settle(config)
            names.append((run_spec.SweepFolders(tmp_path, ["seed"]).name(settled), settled.identity))
        assert names[0][1] == names[1][1]
        digits = names[0][1][:8]
        assert [name for name, _ in names] == [f"seed-4321_{digits}", f"seed--redacted-int_{digits}"]


class TestTexts:
    def test_every_spelling_of_a_value_is_replaced(self) -> None:
        hidden = Redaction(values=frozenset({"it's\na\\b", "hunter2", "hunter2secret"}))
        text = "it's\na\\b " + repr("it's\na\\b") + json.dumps("it's\na\\b") + " hunter2secret hunter2"
        assert hidden.in_text(text) == '<redacted> "<redacted>""<redacted>" <redacted> <redacted>'

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("rate 0.0125.", "rate <redacted>."),
            ("loss 0.01250, 10.0125, 3.0.0125", "loss 0.01250, 10.0125, 3.0.0125"),
            ("rate=0.0125,", "rate=<redacted>,"),
        ],
    )
    def test_a_number_is_not_matched_inside_others(self, text: str, shown: str) -> None:
        assert Redaction(values=frozenset({"0.0125"})).in_text(text) == shown

    def test_short_and_common_values_are_ignored_and_lines_of_long_ones_are_redacted(
        self, composed: Compose, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"A": "abc", "B": "true", "C": "first\nlast line"}.items():
            monkeypatch.setenv(name, value)
        hidden = Redaction.of(composed("+callbacks.x={a: '${oc.env:A}', b: '${oc.env:B}', c: '${oc.env:C}'}"))
        assert hidden.values == {"first\nlast line", "first", "last line"}
        assert len(hidden.paths) == 3

    def test_logs_and_their_tracebacks_are_redacted(self, caplog: pytest.LogCaptureFixture) -> None:
        log = logging.getLogger("somewhere")
        with redacted_logs(Redaction.all([Redaction(), Redaction(values=frozenset({TOKEN}))])):
            log.warning("with %s", TOKEN)
            log.error("failed", exc_info=ValueError(TOKEN))
        log.warning("with %s", TOKEN)
        assert caplog.messages == ["with <redacted>", "failed", f"with {TOKEN}"]
        assert "ValueError: <redacted>" in caplog.text
        assert caplog.text.count(TOKEN) == 1

    def test_warnings_are_redacted(self) -> None:
        warning = UserWarning(f"with {TOKEN}"), UserWarning, "file.py", 1
        with redacted_logs(Redaction(values=frozenset({TOKEN}))):
            assert warnings.formatwarning(*warning) == "file.py:1: UserWarning: with <redacted>\n"
        assert TOKEN in warnings.formatwarning(*warning)

    def test_errors_for_the_user_are_redacted(self) -> None:
        with pytest.raises(DataError) as error, redacted_errors(Redaction(values=frozenset({TOKEN}))):
            raise DataError(f"401 for {TOKEN}")
        assert str(error.value) == "401 for <redacted>"
        assert error.value.__suppress_context__

    @pytest.mark.usefixtures("environment")
    @pytest.mark.parametrize("line", ["batch_size=${oc.env:TOKEN}", "optimizer.learning_rate=${oc.env:TOKEN}"])
    def test_a_value_that_does_not_fit_its_key_is_redacted(self, composed: Compose, line: str) -> None:
        with pytest.raises(OmegaConfBaseException, match="<redacted>") as error:
            Redaction.of(composed(line))
        assert TOKEN not in "".join(traceback.format_exception(error.value))

    @pytest.mark.usefixtures("environment")
    def test_what_is_wrong_with_the_data_is_told_without_the_value(self, composed: Compose) -> None:
        with pytest.raises(DataError, match=r"^<redacted>: no such file"):
            run_spec.settle(composed("data=npz", "data.path=/x/${oc.env:TOKEN}.npz"))

    def test_types_are_restored(self) -> None:
        assert [restored(f"<redacted {kind}>", "1") for kind in ("int", "float", "bool")] == [1, 1.0, True]
        assert restored("<redacted>", "1") == "1"
        assert restored(0.5, 0.5) == 0.5


@pytest.mark.usefixtures("environment")
class TestRecordedConfig:
    def recorded_run(self, composed: Compose, folder: Path, *lines: str) -> tuple[RunDir, RunRecord, dict[str, Any]]:
        """A run's folder as Hydra and a job leave it, its record, and the config it was trained with."""
        from omegaconf import OmegaConf

        config = composed("data=synthetic", "trainer=fit", *lines)
        run, plain = RunDir(folder), run_spec.resolved(config)
        run.composed.parent.mkdir()
        OmegaConf.save(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), run.composed)
        record = RunRecord("run", run_spec.identity_of(plain), config=Redaction.of(config).in_config(plain))
        return run, RunRecord.from_json(record.to_json()), plain

    def test_values_are_read_from_the_environment_again_in_their_types(self, composed: Compose, tmp_path: Path) -> None:
        lines = ("optimizer.learning_rate=${oc.env:RATE}", "seed=${oc.env:SEED}", "optimizer.epsilon=1e-9")
        run, record, plain = self.recorded_run(composed, tmp_path, *lines)
        assert "4321" not in str(record)
        config = recorded.read(run, record)
        assert (config.values, config.warning) == (plain, "")
        assert config.hidden.paths == {("optimizer", "learning_rate"), ("seed",)}

    def test_a_variable_that_is_gone_is_named(
        self, composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, record, _ = self.recorded_run(composed, tmp_path, "seed=${oc.env:SEED}")
        monkeypatch.delenv("SEED")
        with pytest.raises(FolderError, match=r"Environment variable 'SEED' not found.*; run.json keeps no values"):
            recorded.read(run, record)

    @pytest.mark.parametrize("damage", ["", "a: [", "${x}", "model: ${nowhere}"])
    def test_the_record_is_the_fallback_for_hydras_copy(self, composed: Compose, tmp_path: Path, damage: str) -> None:
        run, record, plain = self.recorded_run(composed, tmp_path)
        if damage:
            run.composed.write_text(damage)
        else:
            run.composed.unlink()
        config = recorded.read(run, record)
        assert config.values == plain
        assert config.warning.endswith("; using the config in run.json")


def test_a_saved_state_contains_no_secret_value(make_spec: MakeSpec) -> None:
    from fashion_sweep.training import checkpoint, model_setup
    from fashion_sweep.training.job import Job

    job = Job(replace(make_spec(), hidden=Redaction(values=frozenset({TOKEN}))))
    callback = Raise()
    callback.token, callback.headers, callback.count = TOKEN, [{"key": f"token {TOKEN}"}], 7
    job.save_state(model_setup.compiled_model(job), [callback])
    assert holders(job.run.path, TOKEN) == []
    saved = checkpoint.read(job.run, job._stamp)
    assert present(saved).callbacks == [{"epoch": 2, "count": 7}]
    with np.load(job.run.state, allow_pickle=False) as archive:
        assert "arr_0" in archive.files


@pytest.mark.slow
def test_no_file_in_a_sweeps_folder_contains_the_value(command: Command, tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(LEAKY_CALLBACK)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (320, 8, 8), np.uint8), np.arange(320) % 10
    np.savez(tmp_path / f"{TOKEN}.npz", images=images, labels=labels)
    done = command(
        "-m", "seed=0,1", "data=npz", "data.path=${oc.env:TOKEN}.npz", "optimizer.learning_rate=${oc.env:RATE}",
        "+callbacks.leaky._target_=leaky.Leaky", "+callbacks.leaky.token=${oc.env:TOKEN}",
        "+callbacks.leaky.fails=${seed}", "epochs=2", "hydra.sweep.dir=s", "hydra.verbose=true",
        TOKEN=TOKEN, RATE="0.0125", PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])]),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert holders(tmp_path / "s", TOKEN) == []
    good, bad = (present(run.read_record()) for run in SweepDir(tmp_path / "s").run_dirs())
    assert (good.status, bad.status) == (Status.COMPLETED, Status.FAILED)
    assert bad.reason == "ValueError: no access for '<redacted>'"
    assert good.config["callbacks"]["leaky"]["token"] == good.config["data"]["path"] == "<redacted>"
    assert good.config["optimizer"]["learning_rate"] == "<redacted float>"
    assert r"data.path=$\{oc.env\:TOKEN\}.npz" in good.overrides
    assert good.run == f"seed-0_{good.identity[:8]}"
    log = RunDir(tmp_path / "s" / bad.run).log.read_text()
    assert "logged in with <redacted> and {'token': '<redacted>'}" in log
    assert "ValueError: no access\nfor '<redacted>'" in log
    hydra = tmp_path / "s" / good.run / ".hydra"
    assert "token: ${oc.env:TOKEN}\n" in (hydra / "config.yaml").read_text()
    with (tmp_path / "s" / "report" / "summary.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed", "failed"]
