"""What a command finds before its first run: code and configs of one's own that fail, and a strange environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from sweeping import (
    IN_S,
    QUICK,
    SMALL,
    assert_told_briefly,
    complaint,
    environment,
    in_namespace,
    run,
    script,
    statuses,
    words,
)

from fashion_sweep.storage.sweep_dir import SweepDir

MODELS = """
import ctypes, os, signal, sys
def model(input_shape, num_classes, act):
    import keras
    exec(act)
    output = keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), output])
"""
OWN = ("--config-dir", "mine", "model=own", *(each for each in SMALL if not each.startswith("model")))


def own_model(folder: Path, act: str = "") -> dict[str, str]:
    """A model of one's own that does something as it is built; returns the environment that finds it."""
    (folder / "mine" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "mine" / "model" / "own.yaml").write_text(json.dumps({"_target_": "my_models.model", "act": act}))
    (folder / "my_models.py").write_text(MODELS)
    return {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(folder)])}


def rare(name: str) -> pytest.MarkDecorator:
    return fault(name, rare=True)


@pytest.mark.parametrize("act", [
    pytest.param("sys.exit(0)", marks=fault("a model function that calls sys.exit(0)")),
    pytest.param("os._exit(0)", marks=rare("a model function that ends its process")),
    pytest.param("ctypes.string_at(0)", marks=rare("a model function with a segmentation fault")),
    pytest.param("os.kill(os.getpid(), 15)", marks=rare("a model function that kills its process")),
    pytest.param("os.kill(os.getppid(), 2)", marks=rare("a model function that sends Ctrl-C to its parent")),
    pytest.param("raise KeyboardInterrupt", marks=rare("a model function that raises KeyboardInterrupt")),
    pytest.param("raise BaseException('of mine')", marks=rare("a model function that raises a BaseException")),
    pytest.param("os.closerange(0, 99)", marks=rare("a model function that closes all descriptors")),
    pytest.param("[os.write(n, b'nonsense') for n in range(3, 20) if os.path.exists(f'/proc/self/fd/{n}')]",
                 marks=rare("a model function that writes to every descriptor")),
])  # fmt: skip
def test_models_that_end_the_check(tmp_path: Path, seen: Seen, act: str) -> None:
    done = run(tmp_path, "-m", *OWN, "seed=0,1", IN_S, **own_model(tmp_path, act))
    if "getppid" in act:
        assert_told_briefly(done)
        assert done.returncode in (2, 130)
    else:
        text = complaint(done)
        assert "my_models.model" in text
    assert not (tmp_path / "s").exists()
    seen(f'exit {done.returncode}: "{done.stderr.strip().partition(": ")[2]}"')


SOURCE = "import os, sys, ctypes\ndef load():\n    {act}\n"


@pytest.mark.parametrize("act", [
    pytest.param("sys.exit(0)", marks=rare("a data source that calls sys.exit(0)")),
    pytest.param("raise BaseException('of mine')", marks=rare("a data source that raises a BaseException")),
    pytest.param("sys.setrecursionlimit(50); return load()", marks=rare("a data source without end")),
])  # fmt: skip
def test_sources_that_end_the_check(tmp_path: Path, seen: Seen, act: str) -> None:
    text = complaint(own_source(tmp_path, act))
    assert "my_source.load" in text
    assert not (tmp_path / "s").exists()
    seen(f'exit 2: "{text}"')


def own_source(tmp_path: Path, act: str) -> subprocess.CompletedProcess[str]:
    """A sweep over data from a function of one's own."""
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "own.yaml").write_text(
        "_target_: my_source.load\nvalidation_fraction: 0.2\nsplit_seed: 42\nlimit: null\n"
    )
    (tmp_path / "my_source.py").write_text(SOURCE.format(act=act))
    env = {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(tmp_path)])}
    given = [each for each in QUICK if not each.startswith("data")]
    return run(tmp_path, "--config-dir", "mine", "-m", "data=own", *given, "seed=0,1", IN_S, **env)


@rare("a data source that raises KeyboardInterrupt")
def test_a_source_that_interrupts(tmp_path: Path, seen: Seen) -> None:
    done = own_source(tmp_path, "raise KeyboardInterrupt")
    assert_told_briefly(done)
    assert done.returncode == 130
    assert not (tmp_path / "s").exists()
    seen("exit 130, as by Ctrl-C")


@pytest.mark.parametrize("act", [
    pytest.param("sys.exit(0)", marks=rare("a module of one's own that calls sys.exit(0)")),
    pytest.param("raise KeyboardInterrupt", marks=rare("a module of one's own that raises KeyboardInterrupt")),
])  # fmt: skip
def test_modules_that_end_the_check(tmp_path: Path, seen: Seen, act: str) -> None:
    env = own_model(tmp_path)
    (tmp_path / "my_models.py").write_text(f"import sys\n{act}\n")
    done = run(tmp_path, "-m", *OWN, "seed=0,1", IN_S, **env)
    text = complaint(done)
    assert "my_models" in text
    seen(f'exit 2: "{text}"')


MISTAKES = (
    "_target_: my_models.model\n  act: 4\n",
    "_target_: my_models.model\nact: 4\nact: 5\n",
    "- 1\n",
    "_target_: my_models.model\nact: *x\n",
    '!!python/object/apply:os.system ["touch owned"]\n',
    "_target_: my_models.model\nact: ${nowhere}\n",
    "_target_: [my_models.model]\nact: 1\n",
    "\x00",
)


@fault("mistakes of YAML in a config of one's own", rare=True)
def test_mistakes_of_yaml(tmp_path: Path, seen: Seen) -> None:
    env = own_model(tmp_path)
    texts = []
    for mistake in MISTAKES:
        (tmp_path / "mine" / "model" / "own.yaml").write_text(mistake)
        texts.append(complaint(run(tmp_path, *OWN, "hydra.run.dir=r", "plan=true", **env)))
    (tmp_path / "mine" / "model" / "own.yaml").write_bytes(b"_target_: caf\xe9\n")
    texts.append(complaint(run(tmp_path, *OWN, "hydra.run.dir=r", "plan=true", **env)))
    assert not (tmp_path / "owned").exists()
    seen(f"{len(texts)} mistakes, exit 2 each; {sum('own' in text for text in texts)} texts name the file or its group")


@pytest.mark.parametrize(("settings", "config"), [
    pytest.param({"KERAS_BACKEND": "jax"}, None, marks=rare("KERAS_BACKEND=jax")),
    pytest.param({}, {"backend": "torch"}, marks=rare("keras.json with another backend")),
    pytest.param({}, {"backend": "tensorflow", "floatx": "float64"}, marks=fault("keras.json with floatx float64")),
    pytest.param({}, {"image_data_format": "channels_first"}, marks=rare("keras.json with channels_first")),
    pytest.param({"KERAS_MAX_EPOCHS": "1"}, None, marks=rare("KERAS_MAX_EPOCHS=1")),
])  # fmt: skip
def test_keras_set_up_otherwise(
    tmp_path: Path, seen: Seen, settings: dict[str, str], config: dict[str, str] | None
) -> None:
    if config is not None:
        (tmp_path / ".keras").mkdir()
        (tmp_path / ".keras" / "keras.json").write_text(json.dumps(config))
    settings = {**settings, "HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras")}
    done = run(tmp_path, "-m", "seed=0,1", *SMALL, IN_S, **settings)
    if done.returncode == 0:  # the setting is overruled, and the runs are what they always are
        plain = run(tmp_path, "-m", "seed=0,1", *SMALL, "hydra.sweep.dir=plain")
        assert plain.returncode == 0, plain.stderr
        histories = [
            [[{**row, "seconds": 0} for row in each.read_history()] for each in SweepDir(tmp_path / name).run_dirs()]
            for name in ("s", "plain")
        ]
        assert histories[0] == histories[1]
        seen("exit 0, and the runs are what they are without it")
        return
    text = complaint(done)
    *_, name = config or {key: value for key, value in settings.items() if "HOME" not in key}
    assert (config or settings)[name].lower() in text.lower()
    assert not list(tmp_path.glob("s/*/run.json"))
    seen(f'exit 2: "{text.replace(str(tmp_path), "")}"')


@rare("a keras.json that is damaged")
def test_a_damaged_keras_json(tmp_path: Path, seen: Seen) -> None:
    (tmp_path / ".keras").mkdir()
    for content in (b"{", b"\xff\xfe", b"[1]"):
        (tmp_path / ".keras" / "keras.json").write_bytes(content)
        home = {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras")}
        done = run(tmp_path, "-m", "seed=0,1", *SMALL, f"hydra.sweep.dir=s{len(content)}{content[0]}", **home)
        assert_told_briefly(done)
        assert done.returncode in (0, 2), done.stderr
    seen("exit 0 or 2, no traceback")


@fault("a current folder whose name is not UTF-8")
def test_a_folder_that_is_not_utf_8(tmp_path: Path, seen: Seen) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    done = run(folder, "-m", "seed=0", *QUICK, IN_S)
    text = complaint(done)
    assert "UTF-8" in text
    seen(f'exit 2: "{text.encode(errors="backslashreplace").decode().rpartition("/")[2]}"')


@rare("an argument that is not UTF-8")
def test_arguments_that_are_not_utf_8(tmp_path: Path, seen: Seen) -> None:
    name = os.fsdecode(b"caf\xe9")
    for done in (
        run(tmp_path, "-m", "seed=0", *QUICK, f"hydra.sweep.dir={name}"),
        run(tmp_path, f"resume={name}"),
        script(tmp_path, "report", name),
        script(tmp_path, "evaluate", name),
    ):
        complaint(done)
    seen("run, resume, report and evaluate: exit 2")


@rare("/dev/shm cannot be written")
def test_no_shared_memory(tmp_path: Path, seen: Seen) -> None:
    mount = "mount -t tmpfs -o ro tmpfs /dev/shm"
    if subprocess.run(in_namespace(mount), check=False).returncode:
        pytest.skip("no file systems can be mounted here")
    command = [*in_namespace(f'{mount} && exec "$@"'), *words("-m", *OWN, "seed=0", IN_S)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(**own_model(tmp_path)), capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert_told_briefly(done)
    assert done.returncode == 0, done.stderr
    seen(f"exit 0; {statuses(tmp_path / 's')}")


@rare("a home folder that cannot be written")
def test_no_home(tmp_path: Path, seen: Seen) -> None:
    home = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere", "XDG_CONFIG_HOME": "/proc/nowhere"}
    done = run(tmp_path, "-m", "seed=0", *SMALL, IN_S, **home)
    assert_told_briefly(done)
    assert done.returncode == 0, done.stderr
    seen(f"exit 0; {statuses(tmp_path / 's')}")


@fault("what a resumed sweep's report says was run")
def test_the_commands_of_a_resumed_sweep(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0", *QUICK, IN_S).returncode == 0
    assert run(tmp_path, "-m", "seed=1", *QUICK, IN_S).returncode == 0
    assert run(tmp_path, "resume=s").returncode == 0
    assert script(tmp_path, "report", "s").returncode == 0
    text = (tmp_path / "s" / "report" / "index.html").read_text()
    commands = " ".join(re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL))
    assert all(word in commands for word in ("seed=0", "seed=1", "data.samples=160"))
    seen("both commands stand in it, and the line that resumed it changes nothing")
