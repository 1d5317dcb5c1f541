"""Whatever is in a file of a folder: its reader returns, or raises the error that names the file.

Files are random, or valid ones that were damaged; JSON is also changed node by node. ``--hypothesis-profile=thorough``
tries twenty times as many.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis_folders import config, curve, record, run_folder, write_sweep
from fuzzing import ANY_TEXT, OTHER, POINT, REQUEST, Folder, damages, mutations, note, printable, replaced, safe
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fashion_sweep.analysis.load import collect
from fashion_sweep.config import recorded
from fashion_sweep.data import npz_file
from fashion_sweep.errors import DataError, FolderError
from fashion_sweep.evaluation import measure, saved_model
from fashion_sweep.reporting import samples
from fashion_sweep.reporting.looks import of_look, shown_runs
from fashion_sweep.storage import looks
from fashion_sweep.storage.lease import living_owner
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir, checked_request


def read_record(folder: Folder) -> None:
    with suppress(FolderError):
        folder.run.read_record()


def read_history(folder: Folder) -> None:
    rows, fault = folder.run.salvage_history()
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows or fault


def read_plan(folder: Folder) -> None:
    read: list[Callable[[], object]] = [folder.sweep.read_plan, folder.sweep.read_entries, folder.sweep.read_requests]
    for each in read:
        with suppress(FolderError):
            each()
    assert {Path(name).name for name in folder.sweep.names_by_identity().values()}
    with suppress(FolderError):
        assert all(run.path.parent == folder.sweep.path for run in folder.sweep.run_dirs())


def read_looks(folder: Folder) -> None:
    with suppress(FolderError):
        found = looks.read(folder.sweep)
        shown = [text for look in found for text in of_look(look, found, clean(look.setting))]
        assert all(map(safe, [*shown, *(text for look in found for text in shown_runs(look, {})["run"])]))


def read_owner(folder: Folder) -> None:
    living_owner(folder.sweep.path)


def read_state(folder: Folder) -> None:
    from fashion_sweep.training import checkpoint

    checkpoint.read(folder.run, note()["stamp"])


def read_samples(folder: Folder) -> None:
    with suppress(FolderError):
        samples._read_samples(folder.sweep.samples)


def read_config(folder: Folder) -> None:
    with suppress(FolderError):
        found = recorded.read(folder.run, record(POINT, curve(), config={"data": {}, "model": {}, "seed": 0}))
        assert printable(found.values)
        recorded.check(folder.run, found.values)


def read_data(folder: Folder) -> None:
    with suppress(DataError):
        npz_file.npz(path=str(folder.sweep.path / "data.npz"))


def read_images(folder: Folder) -> None:
    with suppress(DataError):
        measure.read_images(folder.sweep.path / "data.npz", (2, 2))


READERS: dict[str, tuple[Callable[[Folder], Path], Callable[[Folder], None]]] = {
    "run.json": (lambda folder: folder.run.record, read_record),
    "history.csv": (lambda folder: folder.run.history, read_history),
    "sweep.json": (lambda folder: folder.sweep.plan, read_plan),
    "test.json": (lambda folder: folder.sweep.test, read_looks),
    "owner.json": (lambda folder: folder.sweep.path / "owner.json", read_owner),
    "state.npz": (lambda folder: folder.run.state, read_state),
    "samples.npz": (lambda folder: folder.sweep.samples, read_samples),
    "config.yaml": (lambda folder: folder.run.composed, read_config),
    "data.npz": (lambda folder: folder.sweep.path / "data.npz", read_data),
    "images of --predict": (lambda folder: folder.sweep.path / "data.npz", read_images),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("fuzz") / "sweep")


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None)
@given(damage=damages())
@example(damage=lambda valid: valid)
@example(damage=lambda _: b"")
@example(damage=lambda _: b"0")
@example(damage=lambda _: b"[" * 100_000)
@example(damage=lambda valid: valid.replace(b"PK\1\2\x14\x03\x14\0\0\0\0\0", b"PK\1\2\x14\x03\x14\0\0\0\x4d\0"))
def test_a_damaged_file(folder: Folder, name: str, damage: Callable[[bytes], bytes]) -> None:
    place, read = READERS[name]
    with replaced(place(folder), damage):
        read(folder)


def with_a_key_that_nobody_sees(valid: Any) -> Any:
    valid.setdefault("config", {})["optimizer"] = {"_target_": {"\x1f": 1}}
    return valid


@pytest.mark.parametrize("name", ["run.json", "sweep.json", "test.json", "owner.json"])
@settings(deadline=None)
@given(mutate=mutations())
@example(mutate=with_a_key_that_nobody_sees)
def test_a_mutated_json_file(folder: Folder, name: str, mutate: Callable[[Any], Any]) -> None:
    place, read = READERS[name]
    with replaced(place(folder), lambda valid: json.dumps(mutate(json.loads(valid))).encode()):
        read(folder)
        check_collected(folder)


def check_collected(folder: Folder) -> None:
    """The other run is there, and nothing that a file says can do harm in a table."""
    found = collect([folder.sweep.path])
    named = {str(name) for name in found.runs["run"]}
    assert run_folder(folder.sweep, OTHER).path.name in named
    cells = [cell for row in found.runs.to_dict("records") for cell in row.values()]
    assert all(map(safe, [*found.warnings, *found.commands, *found.swept, *named, *cells]))


@settings(deadline=None)
@given(mutate=mutations())
def test_a_mutated_state(folder: Folder, mutate: Callable[[Any], Any]) -> None:
    def with_note(_: bytes) -> bytes:
        file = io.BytesIO()
        np.savez(file, np.array(json.dumps(mutate(note()))), np.ones((2, 3), "float32"), np.float64(0.5))
        return file.getvalue()

    with replaced(folder.run.state, with_note):
        read_state(folder)


@given(mutate=mutations())
def test_a_mutated_request(mutate: Callable[[Any], Any]) -> None:
    with suppress(ValueError):
        found = checked_request(mutate(REQUEST))
        assert all(isinstance(line, str) for line in found["overrides"])


DESCRIPTIONS = st.sampled_from(["<f8", "|O", "|V0", "<U0", "<U7", "|u1", "<M8[s]", "<f9", "|S2147483647"]) | ANY_TEXT
SHAPES = st.lists(st.integers(-2, 2**70) | st.integers(0, 9), max_size=4).map(tuple)


@pytest.mark.parametrize("name", ["state.npz", "samples.npz", "data.npz", "images of --predict"])
@settings(deadline=None)
@given(description=DESCRIPTIONS, shape=SHAPES, version=st.sampled_from([1, 2, 3, 9]))
@example(description="<f8", shape=(10**12,), version=1)
@example(description="|V0", shape=(10**12,), version=1)
def test_an_array_of_any_header(
    folder: Folder, name: str, description: str, shape: tuple[int, ...], version: int
) -> None:
    header = repr({"descr": description, "fortran_order": False, "shape": shape}).encode("utf-8", "replace") + b"\n"
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    member = b"\x93NUMPY" + bytes([version, 0]) + size + header + b"\0" * 64

    def archive(_: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as written:
            for array in ("arr_0", *samples.ARRAYS):
                written.writestr(f"{array}.npy", member)
        return file.getvalue()

    place, read = READERS[name]
    with replaced(place(folder), archive):
        read(folder)


@pytest.fixture(scope="module")
def trained(folder: Folder) -> saved_model.TrainedRun:
    """The run with a saved model."""
    import keras

    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(folder.run.path / "best.keras")
    return saved_model.TrainedRun(folder.run, record(POINT, curve()))


@settings(deadline=None)
@given(damage=damages())
def test_a_damaged_model(trained: saved_model.TrainedRun, damage: Callable[[bytes], bytes]) -> None:
    file = trained.folder.path / "best.keras"
    with replaced(file, damage), suppress(FolderError):
        saved_model.load(trained, file)


def test_a_model_that_unpacks_to_more_than_it_holds(trained: saved_model.TrainedRun) -> None:
    def bomb(_: bytes) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b" " * 10**6)
        return packed.getvalue()

    file = trained.folder.path / "best.keras"
    with replaced(file, bomb), pytest.raises(FolderError, match=r"best\.keras: damaged: not a whole \.keras file"):
        saved_model.load(trained, file)


def test_an_archive_that_unpacks_to_more_than_the_file_is_refused(folder: Folder) -> None:
    with zipfile.ZipFile(folder.sweep.samples) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}

    def packed(_: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in whole.items():
                archive.writestr(name, content)
        return file.getvalue()

    with (
        replaced(folder.sweep.samples, packed),
        pytest.raises(FolderError, match="'images' is larger than the file or the memory allows"),
    ):
        samples._read_samples(folder.sweep.samples)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", "it has YAML aliases, which Hydra never writes"),
        ("[" * 5000, "maximum recursion depth exceeded"),
        ('data: "\\ud800"\n', "it has characters that are none"),
        ("#" * (recorded.MOST_BYTES + 1), "larger than 1 MiB"),
        ("\ufeffdata: {}\n", "it lacks keys that run.json has"),
    ],
)
def test_a_config_that_hydra_never_wrote(folder: Folder, damage: str, reason: str) -> None:
    with replaced(folder.run.composed, lambda _: damage.encode()):
        found = recorded.read(folder.run, record(POINT, curve(), config=config(POINT)))
    assert reason in found.warning
    assert found.values == config(POINT)


class TestSpecialFiles:
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "run.json")
        os.mkfifo(tmp_path / "history.csv")
        with pytest.raises(FolderError, match="it is no regular file"):
            RunDir(tmp_path).read_record()
        assert RunDir(tmp_path).salvage_history() == ([], "cannot be read (it is no regular file)")

    def test_a_history_of_a_gigabyte_is_read_at_its_start_alone(self, tmp_path: Path) -> None:
        sweep = write_sweep(tmp_path, [POINT, OTHER])
        history = run_folder(sweep, POINT).history
        with history.open("r+b") as file:
            file.truncate(10**9)
        collected = collect([tmp_path])
        assert collected.warnings == [f"{history}: it is larger than 16 MiB; run shown up to epoch 5"]
        assert collected.runs["is_partial"].tolist() == [True, False]

    @pytest.mark.parametrize("name", ["run.json", "sweep.json"])
    def test_json_of_a_gigabyte_is_damaged(self, tmp_path: Path, name: str) -> None:
        sweep = write_sweep(tmp_path, [POINT])
        path = sweep.plan if name == "sweep.json" else run_folder(sweep, POINT).record
        with path.open("r+b") as file:
            file.truncate(10**9)
        assert "(larger than 64 MiB)" in collect([tmp_path]).warnings[0]

    @pytest.mark.parametrize("kind", ["file", "dangling link"])
    def test_a_run_whose_folder_is_none_has_failed(self, tmp_path: Path, kind: str) -> None:
        sweep = SweepDir(tmp_path)
        sweep.write_plan("python", write_sweep(tmp_path / "other", [POINT]).read_plan()[1])
        place = run_folder(sweep, POINT).path
        if kind == "file":
            place.write_text("mine")
        else:
            place.symlink_to("nowhere")
        row = collect([tmp_path]).runs.iloc[0]
        reason = "its folder is a file" if kind == "file" else "its folder is no folder"
        assert (row["status"], row["reason"], row["seed"]) == ("failed", reason, 0)
