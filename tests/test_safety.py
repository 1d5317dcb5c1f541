"""What a stranger's files can do: nothing is unpickled, models load in safe mode, files have the user's permissions."""

from __future__ import annotations

import ast
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sweeping
from optional import present

from fashion_sweep.storage.run_dir import RunDir

ROOT = Path(__file__).parents[1]
PIPES = (
    "packed_jobs/hydra_internals/session.py",
    "packed_jobs/local/channel.py",
    "packed_jobs/program.py",
    "packed_jobs/returns.py",
    "packed_jobs/slurm/submission.py",  # files, in a folder that only the submitter can open
    "packed_jobs/task.py",
)
"""Where a process unpickles from memory what it has pickled itself, or what its lanes have sent."""

UNPICKLING = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch")


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """File and node of every statement and expression of the source."""
    folders = ("fashion_sweep", "packed_jobs", "hydra_plugins", "scripts")
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        yield from ((path.relative_to(ROOT).as_posix(), node) for node in ast.walk(ast.parse(path.read_text())))


def calls() -> Iterator[tuple[str, str, dict[str, str]]]:
    """File, name as written, and keyword arguments of every call."""
    for file, node in nodes():
        if isinstance(node, ast.Call):
            yield file, ast.unparse(node.func), {str(each.arg): ast.unparse(each.value) for each in node.keywords}


def test_models_are_loaded_in_safe_mode_and_arrays_without_objects() -> None:
    loads = [(name, given) for _, name, given in calls() if name.endswith("load_model")]
    assert loads
    assert all(given.get("safe_mode") == "True" for _, given in loads), loads
    assert not [file for file, name, _ in calls() if name in ("np.load", "numpy.load")]
    arrays = [(file, given) for file, name, given in calls() if name.endswith("read_array")]
    assert [(file, given.get("allow_pickle")) for file, given in arrays] == [
        ("fashion_sweep/storage/archive.py", "False")
    ]
    assert not [file for file, name, _ in calls() if name.endswith("enable_unsafe_deserialization")]


def test_no_file_of_others_is_unpickled() -> None:
    found = {(file, name) for file, name, _ in calls() if name.partition(".")[0] in UNPICKLING and "load" in name}
    assert found == {(file, "pickle.loads") for file in PIPES}
    assert not {name.rpartition(".")[2] for _, name, _ in calls()} & {"Unpickler", "read_pickle", "eval", "exec"}
    modules = [
        (file, str(node.module), ast.unparse(node)) for file, node in nodes() if isinstance(node, ast.ImportFrom)
    ]
    assert not [each for each in modules if each[1].partition(".")[0] in UNPICKLING and "load" in each[2]]


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    """OmegaConf.load and Hydra's loader are safe ones."""
    found = {name for _, name, _ in calls() if name.startswith("yaml.")}
    assert not found & {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.Loader"}


def modes(folder: Path) -> dict[str, set[int]]:
    """Permissions of the folders and of the files below a folder, itself included."""
    paths = [folder, *folder.rglob("*")]
    return {
        "folders": {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()},
        "files": {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()},
    }


def command(folder: Path, umask: int, *arguments: str, **environment: str) -> None:
    words = sweeping.words(*arguments, *sweeping.TINY, "epochs=1")
    done = subprocess.run(words, cwd=folder, env=sweeping.environment(**environment), umask=umask, capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_sweeps_folder_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    command(tmp_path, 0o077, "-m", "seed=0", "hydra.sweep.dir=s")
    assert modes(tmp_path / "s") == {"folders": {0o700}, "files": {0o600}}


@pytest.mark.slow
def test_a_runs_folder_has_them_too_and_keeps_overrides_as_they_were_typed(tmp_path: Path) -> None:
    command(tmp_path, 0o022, "seed=${oc.env:SEED}", "hydra.run.dir=r", SEED="4321")
    assert modes(tmp_path / "r") == {"folders": {0o755}, "files": {0o644}}
    record = present(RunDir(tmp_path / "r").read_record())
    assert (record.seed, record.config["seed"]) == (4321, "<redacted int>")
    assert "seed=${oc.env:SEED}" in record.overrides
