"""Downloads files over HTTP(S), or from a Debian package where apt-get is available.

Every wait is bounded, so that a sweep does not hang on a machine without a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import DataError


def download(url: str, *, most_bytes: int, silence_seconds: float, seconds: float) -> bytes:
    """Download a URL. silence_seconds: the longest wait for a connection or for the next bytes; seconds: in all.

    Raises DataError, which names the URL.
    """
    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=silence_seconds) as response:
            while part := response.read1(1 << 16):  # returns whatever has arrived, so that the deadline is checked
                content += part
                if len(content) > most_bytes:
                    raise DataError(f"{url}: more than the expected {most_bytes} bytes")
                if time.monotonic() > deadline:
                    raise DataError(f"{url}: not complete after {seconds:g} s ({len(content)} bytes received)")
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(f"{url}: {one_line(error)}") from error
    return bytes(content)


@contextmanager
def debian_package(name: str, *, seconds: float) -> Iterator[Path]:
    """The root of the unpacked package, in a temporary folder. Nothing is installed and root is not needed.

    seconds: timeout of each command.

    Raises DataError if apt-get or dpkg-deb is missing or fails.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(f"Debian's package {name}: there is no {tool} on this machine")
    with TemporaryDirectory(prefix="fashion-sweep-") as scratch:
        folder = Path(scratch)
        try:
            _run(folder, seconds, "apt-get", "download", name)
        except DataError:  # fresh containers have no package lists, and outdated lists name files that are gone
            own = _own_package_lists(folder)
            _run(folder, seconds, "apt-get", *own, "update")
            _run(folder, seconds, "apt-get", *own, "download", name)
        for package in folder.glob("*.deb"):
            _run(folder, seconds, "dpkg-deb", "-x", package.name, "root")
        yield folder / "root"


def _own_package_lists(folder: Path) -> list[str]:
    """Options that make apt-get keep its lists in this folder, where it can write without being root."""
    for inside in ("lists/partial", "cache/archives/partial"):
        (folder / inside).mkdir(parents=True)
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",  # run by root, apt-get would switch to a user that cannot enter the folder
        "Acquire::Languages": "none",
        "Acquire::Retries": 0,
        "Acquire::http::Timeout": 10,
        "Acquire::https::Timeout": 10,
    }
    return [f"-o{key}={value}" for key, value in options.items()]


def _run(folder: Path, seconds: float, *command: str) -> None:
    """Run a command in the folder. Raises DataError with the last line of its output."""
    shown = f"{command[0]} {command[-1]}" if command[0] == "apt-get" else command[0]
    environment = os.environ | {"LC_ALL": "C"}
    try:
        subprocess.run(
            command, cwd=folder, timeout=seconds, env=environment, check=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        lines = error.stdout.strip().splitlines() or [f"exit code {error.returncode}"]
        raise DataError(f"{shown}: {lines[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{shown}: timed out after {seconds:g} s") from error
    except OSError as error:
        raise DataError(f"{shown}: {one_line(error)}") from error
