import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fashion_sweep.data import download as downloading
from fashion_sweep.errors import DataError

Commands = Callable[..., Path]


@contextmanager
def raw_server(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A socket server that gives each connection to ``answer``; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file.gz"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def download(url: str, *, most_bytes: int = 1000, silence_seconds: float = 5.0, seconds: float = 5.0) -> bytes:
    return downloading.download(url, most_bytes=most_bytes, silence_seconds=silence_seconds, seconds=seconds)


class TestDownload:
    def test_returns_the_content(self) -> None:
        with raw_server(lambda to: to.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")) as url:
            assert download(url) == b"hello"

    def test_a_silent_server(self) -> None:
        with raw_server(lambda _: time.sleep(0.5)) as url:
            start = time.monotonic()
            with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:\d+/file\.gz: timed out$"):
                download(url, silence_seconds=0.2)
            assert time.monotonic() - start < 2

    def test_a_server_that_drips(self) -> None:
        def drip(to: socket.socket) -> None:
            try:
                to.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                for _ in range(30):
                    to.sendall(b".")
                    time.sleep(0.1)
            except OSError:
                return

        with raw_server(drip) as url:
            start = time.monotonic()
            with pytest.raises(DataError, match=r"file\.gz: not complete after 0\.5 s \(\d+ bytes received\)$"):
                download(url, silence_seconds=5, seconds=0.5)
            assert time.monotonic() - start < 2

    def test_a_server_that_sends_too_much(self) -> None:
        answering = raw_server(lambda to: to.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2000))
        with answering as url, pytest.raises(DataError, match=r"file\.gz: more than the expected 1000 bytes$"):
            download(url)

    def test_a_server_that_answers_with_an_error(self) -> None:
        answering = raw_server(lambda to: to.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n"))
        with answering as url, pytest.raises(DataError, match=r"file\.gz: HTTP Error 404: Not Found$"):
            download(url)

    def test_a_server_that_talks_nonsense(self) -> None:
        answering = raw_server(lambda to: to.sendall(b"nonsense\r\n\r\n"))
        with answering as url, pytest.raises(DataError, match=r"file\.gz: nonsense$"):
            download(url)

    def test_no_server(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(DataError, match=rf"^http://127\.0\.0\.1:{port}/a: <urlopen error .*Connection refused>$"):
            download(f"http://127.0.0.1:{port}/a")

    def test_no_url(self) -> None:
        with pytest.raises(DataError, match=r"^train\.gz: unknown url type"):
            download("train.gz")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Write shell scripts that are found in place of the machine's commands; only /bin/sh's own are left."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")

    def write(**scripts: str) -> Path:
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\necho {path.name} $* >> {tmp_path}/calls\n{script}\n")
            path.chmod(0o755)
        return tmp_path / "calls"

    return write


MAKE_PACKAGE = "echo package > fashion_1_all.deb"
UNPACK = 'mkdir "$3"; cp "$2" "$3/content"'


def unpacked(*, seconds: float = 30.0) -> tuple[str, Path]:
    with downloading.debian_package("fashion", seconds=seconds) as root:
        return (root / "content").read_text(), root


class TestDebianPackage:
    def test_is_unpacked_into_a_temporary_folder(self, commands: Commands) -> None:
        calls = commands(apt_get=MAKE_PACKAGE, dpkg_deb=UNPACK)
        content, root = unpacked()
        assert content == "package\n"
        assert not root.parent.exists()
        assert calls.read_text() == "apt-get download fashion\ndpkg-deb -x fashion_1_all.deb root\n"

    def test_own_package_lists_if_the_machines_are_empty(self, commands: Commands) -> None:
        found = f'case "$*" in *Dir::State::Lists=*) {MAKE_PACKAGE};; *) exit 100;; esac'
        calls = commands(apt_get=found, dpkg_deb=UNPACK)
        assert unpacked()[0] == "package\n"
        first, update, second, _ = calls.read_text().splitlines()
        assert first == "apt-get download fashion"
        assert update.endswith(" update")
        assert second.endswith(" download fashion")
        assert "-oDir::State::Lists=/" in update
        assert update.rpartition(" ")[0] == second.rpartition(" download")[0]

    @pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
    def test_no_such_command(self, commands: Commands, tool: str) -> None:
        commands(**dict.fromkeys({"apt_get", "dpkg_deb"} - {tool.replace("-", "_")}, "exit 0"))
        with pytest.raises(DataError, match=rf"^Debian's package fashion: there is no {tool} on this machine$"):
            unpacked()

    def test_no_such_package(self, commands: Commands) -> None:
        fails = "echo W: hm; echo E: Unable to locate >&2; exit 100"
        commands(apt_get=f'case "$*" in *update) exit 0;; esac; {fails}', dpkg_deb=UNPACK)
        with pytest.raises(DataError, match=r"^apt-get fashion: E: Unable to locate$"):
            unpacked()

    def test_no_network(self, commands: Commands) -> None:
        commands(apt_get="exit 100", dpkg_deb=UNPACK)
        with pytest.raises(DataError, match=r"^apt-get update: exit code 100$"):
            unpacked()

    def test_a_damaged_package(self, commands: Commands) -> None:
        commands(apt_get=MAKE_PACKAGE, dpkg_deb="echo not a Debian archive >&2; exit 2")
        with pytest.raises(DataError, match=r"^dpkg-deb: not a Debian archive$"):
            unpacked()

    def test_a_command_that_hangs(self, commands: Commands) -> None:
        commands(apt_get="exec sleep 30", dpkg_deb=UNPACK)
        start = time.monotonic()
        with pytest.raises(DataError, match=r"^apt-get update: timed out after 0\.3 s$"):
            unpacked(seconds=0.3)
        assert time.monotonic() - start < 5

    def test_a_command_that_cannot_run(self, commands: Commands, tmp_path: Path) -> None:
        commands(apt_get="", dpkg_deb="")
        Path(tmp_path / "bin" / "apt-get").write_bytes(b"\x00\x01")
        with pytest.raises(DataError, match=r"^apt-get update: .*Exec format error"):
            unpacked()
