"""Text in the files of a folder that would act upon a terminal, cannot be printed, or names places elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_types import Command

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\ud800\x9b"
FORBIDDEN = [HOSTILE[0], "\x07", "\u202e", "\x9b"]
TINY = ("data=synthetic", "data.samples=160", "data.image_size=8", "model.hidden_units=[4]", "epochs=2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of two runs with saved models."""
    folder = tmp_path_factory.mktemp("hostile")
    words = [sys.executable, "-m", "fashion_sweep", "-m", *TINY, "callbacks=checkpoint", "save=model", "seed=0,1"]
    subprocess.run([*words, "hydra.sweep.dir=s"], cwd=folder, capture_output=True, check=True)
    return folder / "s"


def spoiled(value: Any, spoil: Callable[[str], str], keep: tuple[str, ...]) -> Any:
    """The value with every text in it spoiled, keys as well, but for what stands under the kept keys."""
    if isinstance(value, str):
        return spoil(value)
    if isinstance(value, list):
        return [spoiled(item, spoil, keep) for item in value]
    if isinstance(value, dict):
        return {key: item if key in keep else spoiled(item, spoil, keep) for key, item in value.items()}
    return value


SPOILED: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "everything": (lambda _: HOSTILE, ()),
    "added to all": (lambda text: text + HOSTILE, ("run", "status", "identity")),
    "all but what a model needs": (lambda text: text + HOSTILE, ("run", "status", "identity", "config", "requests")),
}


@pytest.mark.parametrize("name", SPOILED)
def test_no_text_of_a_file_reaches_the_terminal_or_a_report_raw(
    sweep: Path, tmp_path: Path, command: Command, name: str
) -> None:
    spoil, keep = SPOILED[name]
    copy = Path(shutil.copytree(sweep, tmp_path / "s"))
    shutil.rmtree(copy / "report")
    for file in [*copy.glob("*/run.json"), copy / "sweep.json"]:
        file.write_text(json.dumps(spoiled(json.loads(file.read_text()), spoil, keep)))
    owner = dict.fromkeys(("host", "start", "since", "token"), HOSTILE)
    (copy / "owner.json").write_text(json.dumps(owner | {"pid": 1}))
    run = next(copy.glob("seed-0_*"))
    config = (run / ".hydra" / "config.yaml").read_text()
    (run / ".hydra" / "config.yaml").write_text(config + 'more: "\\e[2J\\u202e"\n')
    report, evaluate, reproduce = (f"fashion_sweep.cli.{each}" for each in ("report", "evaluate", "reproduce"))
    for module, *arguments in [
        (report, "s"), (evaluate, str(run)), (evaluate, str(run), "--confusion"), (reproduce, str(run)),
    ]:  # fmt: skip
        main = f"from {module} import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", main, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        check(done)
    again = ("-m", *TINY, "seed=0,1", "hydra.sweep.dir=s", "plan=true")
    for words in (("resume=s", "plan=true"), ("resume=s",), again):
        check(command(*words))
    os.utime(copy / "owner.json", (0, 0))  # an owner that is long dead
    check(command("resume=s"))
    texts = [path for path in (copy / "report").glob("*") if path.suffix in (".csv", ".md", ".html", ".svg")]
    for path in texts:
        assert not any(char in path.read_text("utf-8") for char in FORBIDDEN), path
    assert texts or name == "everything"


def check(done: subprocess.CompletedProcess[str]) -> None:
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert not any(char in said for char in FORBIDDEN), ascii(said)
    assert done.returncode in (0, 1, 2), said


@pytest.mark.parametrize("place", ["/tmp/elsewhere.keras", "../../elsewhere.keras", "link.keras"])
def test_a_model_elsewhere_is_not_loaded(sweep: Path, tmp_path: Path, place: str) -> None:
    copy = Path(shutil.copytree(sweep, tmp_path / "s"))
    run = next(copy.glob("seed-0_*"))
    (tmp_path / "elsewhere.keras").write_bytes((run / "best.keras").read_bytes())
    (run / "link.keras").symlink_to(tmp_path / "elsewhere.keras")
    for file in (run / "run.json", run / ".hydra" / "config.yaml"):
        file.write_text(file.read_text().replace("best.keras", place))
    main = "from fashion_sweep.cli.evaluate import main; main()"
    done = subprocess.run([sys.executable, "-c", main, str(run)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"not in the run's folder {run}, so it is not loaded.\n" in done.stderr
