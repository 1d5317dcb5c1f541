import gzip
import hashlib
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_fashion_mnist import FILES, is_right, nowhere, put

from fashion_sweep.data import fashion_mnist, loading
from fashion_sweep.data.fashion_mnist import Sources
from fashion_sweep.errors import DataError


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return nowhere(tmp_path)


class TestFolders:
    @pytest.mark.parametrize("packed", [False, True])
    def test_a_given_folder(self, tmp_path: Path, sources: Sources, packed: bool) -> None:
        folder = put(tmp_path / "mine", packed=packed)
        assert is_right(fashion_mnist.read(str(folder), sources))
        assert is_right(fashion_mnist.read(str(folder), sources, test=True), test=True)
        assert not sources.cache.exists()

    def test_a_given_folder_is_the_only_source(self, tmp_path: Path, sources: Sources) -> None:
        put(sources.cache)
        with pytest.raises(DataError, match=r"^data\.dir: /\S+/mine: No such file or directory$"):
            fashion_mnist.read(str(tmp_path / "mine"), sources)

    def test_all_four_files_must_be_there(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(tmp_path / "mine", t10k_images=None, train_labels=None)
        with pytest.raises(DataError, match=r"mine: has no train-labels, t10k-images \(plain or \.gz\)$"):
            fashion_mnist.read(str(folder), sources)

    def test_a_wrong_file_is_named_with_both_sums(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(tmp_path / "mine", train_labels=b"wrong")
        sums = hashlib.sha256(b"wrong").hexdigest(), FILES[1].sha256
        with pytest.raises(
            DataError, match="mine/train-labels: unpacked, its SHA-256 is {}, expected {}$".format(*sums)
        ):
            fashion_mnist.read(str(folder), sources)

    def test_a_truncated_gz(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(tmp_path / "mine", packed=True)
        whole = (folder / "train-images.gz").read_bytes()
        (folder / "train-images.gz").write_bytes(whole[:-12])
        with pytest.raises(
            DataError, match=r"mine/train-images\.gz: damaged, cannot be unpacked \(Compressed file ended"
        ):
            fashion_mnist.read(str(folder), sources)

    def test_a_gz_that_is_far_too_large_is_not_fully_unpacked(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(tmp_path / "mine", packed=True)
        (folder / "train-labels.gz").write_bytes(gzip.compress(bytes(50_000_000)))
        found = hashlib.sha256(bytes(FILES[1].size + 1)).hexdigest()
        with pytest.raises(DataError, match=rf"train-labels\.gz: unpacked, its SHA-256 is {found}"):
            fashion_mnist.read(str(folder), sources)

    def test_an_intact_gz_is_used_instead_of_a_wrong_plain_file(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(put(tmp_path / "mine", packed=True), train_labels=b"wrong")
        assert is_right(fashion_mnist.read(str(folder), sources))

    def test_the_test_files_are_verified_only_for_the_test_set(self, tmp_path: Path, sources: Sources) -> None:
        folder = put(tmp_path / "mine", t10k_labels=b"wrong")
        assert is_right(fashion_mnist.read(str(folder), sources))
        with pytest.raises(DataError, match="t10k-labels: unpacked, its SHA-256 is"):
            fashion_mnist.read(str(folder), sources, test=True)

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_the_first_intact_folder_is_used(
        self, sources: Sources, place: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        folders = [sources.cache, *sources.folders]
        put(folders[0], train_images=None)
        put(folders[1], train_images=b"wrong")
        put(folders[place], packed=place == 1)
        (folders[1] / "train-images").unlink()
        with caplog.at_level(logging.DEBUG, logger="fashion_sweep"):
            assert is_right(fashion_mnist.read(None, sources))
        assert caplog.messages[-1] == f"Fashion-MNIST read from {folders[place]}"

    def test_a_file_where_a_folder_should_be(self, sources: Sources) -> None:
        sources.folders[0].write_text("")
        put(sources.folders[1])
        assert is_right(fashion_mnist.read(None, sources))


class TestDefaults:
    def test_places_follow_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("KERAS_HOME", raising=False)
        sources = Sources()
        assert sources.cache == tmp_path / "cache" / "fashion-sweep" / "fashion-mnist"
        assert sources.folders[0] == tmp_path / "home" / ".keras" / "datasets" / "fashion-mnist"
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
        assert Sources().folders[0] == tmp_path / "keras" / "datasets" / "fashion-mnist"

    def test_only_https(self) -> None:
        assert all(url.startswith("https://") and url.endswith("/") for url in fashion_mnist.MIRRORS)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four real files from any source, away from the user's own cache."""
    cache = tmp_path_factory.mktemp("real") / "fashion-mnist"
    fashion_mnist.read(None, Sources(cache=cache))
    for folder in (cache, *Sources().folders):
        if folder.is_dir() and len(list(folder.glob("*-ubyte*"))) == 4:
            return folder
    raise AssertionError("read from nowhere")


@pytest.mark.slow
class TestRealData:
    def test_training_images(self, real: Path) -> None:
        dataset = fashion_mnist.load(str(real))
        assert dataset.images.shape == (60_000, 28, 28)
        assert dataset.images.dtype == np.uint8
        assert dataset.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
        assert np.bincount(dataset.labels).tolist() == [6000] * 10
        assert len(dataset.class_names) == 10

    def test_test_images(self, real: Path) -> None:
        dataset = fashion_mnist.load_test(str(real))
        assert dataset.images.shape == (10_000, 28, 28)
        assert dataset.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]

    def test_the_split_is_that_of_the_notes(self, real: Path) -> None:
        config = {"_target_": "fashion_sweep.fashion_mnist.load", "dir": str(real)}
        _, split = loading.load_split(config | {"validation_fraction": 0.2, "split_seed": 42, "limit": None})
        assert (len(split.x_train), len(split.x_val)) == (48_000, 12_000)
        assert split.y_train[:10].tolist() == [7, 3, 5, 8, 6, 9, 3, 3, 9, 9]
        assert split.x_train.dtype == np.uint8
        assert (split.input_shape, split.num_classes) == ((28, 28), 10)

    @pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt-get here")
    def test_debians_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APT_CONFIG", str(self.no_lists(tmp_path)))
        sources = Sources(cache=tmp_path / "cache", folders=(tmp_path / "none",), mirrors=())
        assert fashion_mnist.read(None, sources).images.shape == (60_000, 28, 28)
        assert {path.name: path.stat().st_size for path in sources.cache.glob("*-*")} == {
            "train-images-idx3-ubyte": 47_040_016,
            "train-labels-idx1-ubyte": 60_008,
            "t10k-images-idx3-ubyte": 7_840_016,
            "t10k-labels-idx1-ubyte": 10_008,
        }

    def no_lists(self, folder: Path) -> Path:
        """Settings that make apt-get find no package lists, as in a fresh container."""
        (folder / "lists" / "partial").mkdir(parents=True)
        settings = folder / "apt.conf"
        settings.write_text(f'Dir::State::Lists "{folder}/lists";\n')
        return settings
