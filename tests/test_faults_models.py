"""Arrays, models, states and configs that are hostile: no code of theirs runs, and nothing is read elsewhere."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_table import fault
from fixture_types import Seen
from sweeping import (
    HERE,
    IN_S,
    SMALL,
    assert_told_briefly,
    environment,
    run,
    script,
)

from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

DEEP = "[" * 100_000
MIB = 2**20


@pytest.fixture(scope="module")
def keras_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single run that has saved a model."""
    folder = tmp_path_factory.mktemp("keras")
    done = run(folder, *SMALL[:-1], "save=model", "callbacks=checkpoint", "hydra.run.dir=r")
    assert done.returncode == 0, done.stderr
    return folder / "r"


@pytest.fixture
def model_run(keras_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(keras_run, tmp_path / "r"))


def npz(path: Path, shape: tuple[int, ...], descr: str = "<f8") -> None:
    """An archive whose only array claims a shape, and holds nothing."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())


@fault("evaluate --predict of arrays that claim terabytes, are bombs or hold code", rare=True)
def test_hostile_arrays(model_run: Path, seen: Seen) -> None:
    folder = model_run.parent
    npz(folder / "huge.npz", (10**12,))
    npz(folder / "many.npz", (10**6, 10**6, 10**6))
    npz(folder / "negative.npz", (-5, 8, 8))
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**21, 32, 32)})
        with archive.open("images.npy", "w", force_zip64=True) as file:
            file.write(header.getvalue())
            for _ in range(1024):
                file.write(bytes(2 * MIB))
    np.savez(folder / "objects.npz", images=np.array([Evil()], dtype=object))
    (folder / "text.npz").write_bytes(b"no archive")
    for name in ("huge", "many", "negative", "bomb", "objects", "text"):
        done = _limited(folder, "evaluate", "r", "--predict", f"{name}.npz")
        assert_told_briefly(done)
        assert done.returncode == 2, f"{name}: {done.stdout}"
        assert f"{name}.npz" in done.stderr
    assert not (folder / "owned").exists()
    seen("6 files: exit 2 each, in 6 GiB of address space; no code of theirs runs")


class Evil:
    """Touches a file where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch owned",))


def _limited(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    def limit_it() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))

    command = [sys.executable, str(HERE.parent / "scripts" / f"{name}.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120,
                          check=False, preexec_fn=limit_it)  # fmt: skip


@fault("a model file that holds code, or leads elsewhere", rare=True)
def test_hostile_models(model_run: Path, seen: Seen) -> None:
    best = model_run / "best.keras"
    with zipfile.ZipFile(best) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    code = {"module": "builtins", "class_name": "exec", "config": {"0": "open('owned', 'w')"}, "registered_name": None}
    hostile: list[dict[str, bytes]] = [
        {**parts, "config.json": json.dumps({**config, "config": {**config["config"], "layers": [code]}}).encode()},
        {**parts, "config.json": DEEP.encode()},
        {**parts, "../../owned": b"x"},
        {**parts, "model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(100)},
        {name: content for name, content in parts.items() if name != "config.json"},
    ]
    for content in hostile:
        with zipfile.ZipFile(best, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        done = script(model_run.parent, "evaluate", "r")
        assert_told_briefly(done)
        assert done.returncode in (0, 2), done.stderr
        assert not list(model_run.parent.parent.rglob("owned"))
    seen(f"{len(hostile)} files: exit 2 or 0, no code of theirs runs, nothing is written elsewhere")


@fault("a record whose model lies elsewhere", rare=True)
def test_models_that_lie_elsewhere(model_run: Path, seen: Seen) -> None:
    outside = model_run.parent / "outside.keras"
    (model_run / "best.keras").rename(outside)
    (model_run / "last.keras").unlink(missing_ok=True)
    record = RunDir(model_run).record
    text = record.read_text()
    done = [script(model_run.parent, "evaluate", "r", "--file", "../outside.keras")]
    for name in ("../outside.keras", str(outside)):
        edited = json.loads(text)
        for callback in (edited["config"].get("callbacks") or {}).values():
            if callback and "filepath" in callback:
                callback["filepath"] = name
        record.write_text(json.dumps(edited))
        done.append(script(model_run.parent, "evaluate", "r"))
    for each in done:
        assert_told_briefly(each)
        assert each.returncode == 2, each.stdout
    seen("--file, and a callback's filepath in run.json: exit 2 each")


@fault("a saved state that holds anything", rare=True)
def test_states_of_anything(tmp_path: Path, seen: Seen) -> None:
    grid = ["-m", "seed=0", *SMALL, "epochs=3", IN_S]
    assert run(tmp_path, *grid).returncode == 0
    [only] = SweepDir(tmp_path / "s").run_dirs()
    only.record.unlink()
    np.savez(tmp_path / "objects.npz", state=np.array([Evil()], dtype=object))
    for content in (b"", b"PK\3\4nonsense", (tmp_path / "objects.npz").read_bytes()):
        only.state.write_bytes(content)
        only.record.unlink(missing_ok=True)
        done = run(tmp_path, "resume=s")
        assert_told_briefly(done)
        assert done.returncode in (0, 1), done.stderr
    assert not list(tmp_path.rglob("owned"))
    seen("3 contents: the run begins again or fails, no code of theirs runs")


@fault(".hydra/config.yaml that holds anything", rare=True)
def test_configs_of_anything(model_run: Path, seen: Seen) -> None:
    config = model_run / ".hydra" / "config.yaml"
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    for content in (
        bomb,
        "!!python/object/apply:os.system ['touch owned']",
        DEEP,
        "- 1",
        "\x00",
        "",
        "a: ${b}\nb: ${a}",
    ):
        config.write_text(content)
        for done in (_limited(model_run.parent, "evaluate", "r"), run(model_run.parent, "resume=r", "plan=true")):
            assert_told_briefly(done)
            assert done.returncode in (0, 2), done.stderr
    assert not (model_run.parent / "owned").exists()
    seen("7 contents: evaluate and resume= exit with 0 or 2, no code of theirs runs")
