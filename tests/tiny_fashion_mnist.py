"""A stand-in for Fashion-MNIST of a few bytes, and a local web server for it."""

import gzip
import hashlib
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from fashion_sweep.data.dataset import Dataset
from fashion_sweep.data.fashion_mnist import IdxFile, Sources

SHAPES = {"train-images": (6, 4, 4), "train-labels": (6,), "t10k-images": (3, 4, 4), "t10k-labels": (3,)}
CONTENTS = {
    name: bytes(4 + 4 * len(shape)) + bytes(number % 10 for number in range(int(np.prod(shape))))
    for name, shape in SHAPES.items()
}
FILES = tuple(IdxFile(name, shape, hashlib.sha256(CONTENTS[name]).hexdigest()) for name, shape in SHAPES.items())


def nowhere(folder: Path) -> Sources:
    """Empty sources under this folder."""
    return Sources(
        cache=folder / "cache",
        folders=(folder / "keras", folder / "debian"),
        mirrors=(),
        debian_package=None,
        files=FILES,
        silence_seconds=2,
        file_seconds=5,
    )


def put(folder: Path, *, packed: bool = False, **changed: bytes | None) -> Path:
    """Write the four files; None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (CONTENTS | {key.replace("_", "-"): value for key, value in changed.items()}).items():
        if content is not None and packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        elif content is not None:
            (folder / name).write_bytes(content)
    return folder


class Home:
    """A real web server on this machine that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, list[bytes | None]] = {
            f"/{name}.gz": [gzip.compress(content)] for name, content in CONTENTS.items()
        }
        self.seconds = 0.0
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(mirror.seconds)
                answers = mirror.answers.get(self.path, [None])
                answer = answers[min(mirror.asked[self.path], len(answers) - 1)]
                mirror.asked[self.path] += 1
                self.send_response(404 if answer is None else 200)
                self.end_headers()
                self.wfile.write(answer or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def is_right(dataset: Dataset, *, test: bool = False) -> bool:
    images, labels = ("t10k-images", "t10k-labels") if test else ("train-images", "train-labels")
    return (
        dataset.images.tobytes() == CONTENTS[images][16:]
        and dataset.images.shape == SHAPES[images]
        and dataset.labels.tolist() == list(CONTENTS[labels][8:])
        and dataset.labels.dtype == np.int64
        and not dataset.images.flags.writeable
        and not dataset.labels.flags.writeable
        and dataset.class_names[9] == "Ankle boot"
    )
