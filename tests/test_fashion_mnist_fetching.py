import gzip
import hashlib
import logging
import multiprocessing
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from tiny_fashion_mnist import CONTENTS, FILES, SHAPES, Home, is_right, nowhere, put

from fashion_sweep.data import fashion_mnist
from fashion_sweep.data.fashion_mnist import Sources
from fashion_sweep.errors import DataError


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return nowhere(tmp_path)


@pytest.fixture
def mirror() -> Iterator[Home]:
    served = Home()
    yield served
    served.close()


class TestDownload:
    def test_is_cached_unpacked_and_used_from_then_on(
        self, sources: Sources, mirror: Home, caplog: pytest.LogCaptureFixture
    ) -> None:
        online = replace(sources, mirrors=(mirror.url,))
        with caplog.at_level(logging.INFO):
            assert is_right(fashion_mnist.read(None, online))
        assert "fetching" in caplog.messages[0]
        assert is_right(fashion_mnist.read(None, online, test=True), test=True)
        assert mirror.asked == {f"/{name}.gz": 1 for name in SHAPES}
        assert {path.name: path.read_bytes() for path in sources.cache.glob("*-*")} == CONTENTS

    def test_a_damaged_file_in_the_cache_is_fetched_again_and_only_that(self, sources: Sources, mirror: Home) -> None:
        put(sources.cache, train_labels=b"wrong")
        assert is_right(fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,))))
        assert mirror.asked == {"/train-labels.gz": 1}
        assert (sources.cache / "train-labels").read_bytes() == CONTENTS["train-labels"]

    @pytest.mark.parametrize(
        "wrong",
        [gzip.compress(b"wrong"), b"not packed", gzip.compress(CONTENTS["train-labels"])[:-9]],
        ids=[
            "wrong",
            "not packed",
            "torn",
        ],  # gzip's output contains the time, and test ids must be the same in all workers
    )
    def test_wrong_once_is_fetched_once_more(self, sources: Sources, mirror: Home, wrong: bytes) -> None:
        mirror.answers["/train-labels.gz"].insert(0, wrong)
        assert is_right(fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,))))
        assert mirror.asked["/train-labels.gz"] == 2

    def test_wrong_twice_is_refused(self, sources: Sources, mirror: Home) -> None:
        mirror.answers["/train-labels.gz"] = [gzip.compress(b"wrong")]
        with pytest.raises(DataError) as caught:
            fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,)))
        sums = hashlib.sha256(b"wrong").hexdigest(), FILES[1].sha256
        assert "{}train-labels.gz: unpacked, its SHA-256 is {}, expected {}\n".format(mirror.url, *sums) in str(
            caught.value
        )
        assert mirror.asked["/train-labels.gz"] == 2
        assert not (sources.cache / "train-labels").exists()

    def test_the_next_mirror_supplies_what_the_first_lacks(self, sources: Sources, mirror: Home) -> None:
        other = Home()
        try:
            mirror.answers["/train-labels.gz"] = [None]
            assert is_right(fashion_mnist.read(None, replace(sources, mirrors=(mirror.url, other.url))))
        finally:
            other.close()
        assert mirror.asked == {"/train-images.gz": 1, "/train-labels.gz": 1}
        assert other.asked == {"/train-labels.gz": 1, "/t10k-images.gz": 1, "/t10k-labels.gz": 1}

    def test_a_slow_mirror_is_abandoned(self, sources: Sources, mirror: Home) -> None:
        mirror.seconds = 1.0
        start = time.monotonic()
        with pytest.raises(DataError, match=rf"{re.escape(mirror.url)}train-images\.gz: timed out\n"):
            fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,), silence_seconds=0.2))
        assert time.monotonic() - start < 3

    def test_one_of_many_processes_fetches(self, sources: Sources, mirror: Home) -> None:
        mirror.seconds = 0.3
        online = replace(sources, mirrors=(mirror.url,))
        with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
            reading = [pool.submit(fashion_mnist.read, None, online) for _ in range(8)]
            read = [process.result(timeout=60) for process in reading]
        assert {dataset.images.tobytes() for dataset in read} == {CONTENTS["train-images"][16:]}
        assert mirror.asked == {f"/{name}.gz": 1 for name in SHAPES}

    def test_a_cache_that_cannot_be_written(
        self, tmp_path: Path, sources: Sources, mirror: Home, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        online = replace(sources, cache=tmp_path / "file" / "cache", mirrors=(mirror.url,))
        assert is_right(fashion_mnist.read(None, online))
        assert re.search(
            r"Fashion-MNIST will not be cached: \S+/file/cache cannot be used \(.*Not a directory", caplog.text
        )

    def test_a_full_disk(self, sources: Sources, mirror: Home, caplog: pytest.LogCaptureFixture) -> None:
        for name in SHAPES:
            (sources.cache / name).mkdir(parents=True)  # nothing can be moved onto a folder
        assert is_right(fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,))))
        assert "train-images could not be cached: " in caplog.text


class TestNothingWorks:
    def test_says_what_was_tried_and_what_to_do(
        self, tmp_path: Path, sources: Sources, mirror: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        mirror.answers = {}
        put(sources.folders[0], train_images=None)
        with pytest.raises(DataError) as caught:
            fashion_mnist.read(None, replace(sources, mirrors=(mirror.url,), debian_package="fashion"))
        assert str(caught.value).splitlines() == [
            "Fashion-MNIST was not found and could not be fetched. Tried:",
            f"  {sources.cache}: No such file or directory",
            f"  {sources.folders[0]}: has no train-images (plain or .gz)",
            f"  {sources.folders[1]}: No such file or directory",
            f"  {mirror.url}train-images.gz: HTTP Error 404: Not Found",
            "  Debian's package fashion: there is no apt-get on this machine",
            "Put its four files (train-images, train-labels, t10k-images, t10k-labels; plain or .gz) into a folder "
            f"and set data.dir=FOLDER, or put them into {sources.cache}, or run 'apt-get install dataset-fashion-mnist'"
            f", or load them once with Keras, which puts them into {sources.folders[0]}.",
        ]

    def test_a_lock_that_is_held_for_too_long(
        self, sources: Sources, mirror: Home, caplog: pytest.LogCaptureFixture
    ) -> None:
        sources.cache.mkdir()
        with FileLock(sources.cache / ".lock"):
            impatient = replace(sources, mirrors=(mirror.url,), lock_seconds=0.2)
            assert is_right(fashion_mnist.read(None, impatient))
        assert "will not be cached" in caplog.text
