"""Standard streams that are closed, full, gone or narrow: what is printed may be lost, the process is not."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

PRINT = """
import sys
from packed_jobs import streams
streams.protect()
for number in range(3):
    print("line", number, "\\u00b1 \\u540d \\ud800")
    print("error", number, file=sys.stderr)
    sys.stdout.flush()
open(sys.argv[1], "w").write("done")
"""


def run(folder: Path, redirection: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run PRINT by a shell with some redirection of its streams; it must get to its end, whatever becomes of them."""
    (folder / "print.py").write_text(PRINT)
    command = f'"{sys.executable}" print.py done {redirection}'
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=os.environ | environment, capture_output=True,
                          timeout=60, check=False)  # fmt: skip
    assert (folder / "done").read_text() == "done"
    return done


@pytest.mark.parametrize(
    "redirection",
    [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>&1", "| true; exit ${PIPESTATUS[0]}",
     "2>&1 | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}"],
)  # fmt: skip
def test_streams_that_fail(tmp_path: Path, redirection: str) -> None:
    done = run(tmp_path, redirection)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_file_that_is_opened_does_not_get_what_is_printed(tmp_path: Path) -> None:
    run(tmp_path, ">&- 2>&-")
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_an_encoding_lacks(tmp_path: Path, encoding: str) -> None:
    done = run(tmp_path, "", PYTHONIOENCODING=encoding)
    shown = {"ascii": "+- ? ?", "latin-1": "± ? ?", "utf-8": "± 名 ?"}[encoding]
    assert done.stdout.decode(encoding).splitlines()[0] == f"line 0 {shown}"
    assert done.returncode == 0


def test_a_terminal_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "print.py").write_text(PRINT.replace("range(3)", "range(3) if not __import__('time').sleep(1) else ()"))
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "print.py", "done"], cwd=tmp_path, stdout=slave, stderr=slave,
                               start_new_session=True)  # fmt: skip
    os.close(slave)
    time.sleep(0.2)
    os.close(master)
    assert process.wait(30) == 0
    assert (tmp_path / "done").read_text() == "done"


def test_streams_that_somebody_has_replaced_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    from packed_jobs import streams

    before = sys.stdout
    streams.protect()
    assert sys.stdout is before
    print("seen")
    assert capsys.readouterr().out == "seen\n"
