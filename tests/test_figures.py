import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_samples, write_sweep
from matplotlib._pylab_helpers import Gcf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from optional import present

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.errors import FolderError
from fashion_sweep.reporting import curves, samples, stopping
from fashion_sweep.reporting.figure_style import save, wrapped
from fashion_sweep.storage.record import Status


def frames(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, list[str], Measure]:
    found = collect([folder])
    return summary.summarize(found.runs, found.histories, found.measure), found.histories, found.swept, found.measure


def drawn(folder: Path, metric: str = "val_loss") -> Figure:
    return curves.curves(*frames(folder), metric)


def lines(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(np.asarray(line.get_xdata()))]


def heights(line: Line2D) -> list[float]:
    values: list[float] = np.asarray(line.get_ydata()).tolist()
    return values


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts() if text.get_text()]


def test_six_runs_are_six_lines_in_one_panel(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3]))
    figure = drawn(tmp_path)
    (axes,) = figure.axes
    assert len(lines(axes)) == 6
    assert len({line.get_color() for line in lines(axes)}) == 3
    assert sorted(line.is_dashed() for line in lines(axes)) == [False] * 3 + [True] * 3
    assert legend(figure) == [
        *("optimizer", "sgd", "adam", "rmsprop", "dropout", "0", "0.3"),
        "epoch of lowest\nvalidation loss",
    ]
    assert figure.get_suptitle() == "Validation loss by epoch: 6 runs, model mlp"
    assert (axes.get_xlabel(), figure.get_supylabel()) == ("epoch", "validation loss")


def test_the_dot_of_accuracy_is_at_the_epoch_of_lowest_loss(tmp_path: Path) -> None:
    rows = curve(epochs=4)
    for row, loss in zip(rows, (0.9, 0.3, 0.4, 0.5), strict=True):
        row["val_loss"] = loss
    write_run(tmp_path / "run", {}, rows)
    (axes,) = drawn(tmp_path, "val_accuracy").axes
    assert np.asanyarray(axes.collections[0].get_offsets()).tolist() == [[2, rows[1]["val_accuracy"]]]


def test_a_run_of_one_epoch_is_a_dot_on_a_whole_epoch(tmp_path: Path) -> None:
    write_sweep(tmp_path, [{}], epochs=1)
    figure = drawn(tmp_path)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert len(np.asanyarray(axes.collections[0].get_offsets())) == 1
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


def test_each_swept_rate_has_a_panel(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], optimizer__learning_rate=[0.1, 0.001], model__dropout=[0, 0.3])
    write_sweep(tmp_path, points)
    figure = drawn(tmp_path)
    assert titles(figure) == ["learning rate 0.001", "learning rate 0.1"]
    assert [len(lines(axes)) for axes in figure.axes] == [4, 4]


def test_replicates_are_one_line_in_a_band_for_its_interval(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(seed=[0, 1, 2]), epochs=1)
    for seed, loss in enumerate((0.25, 0.5, 0.75)):
        rows = [curve(epochs=1)[0] | {"val_loss": loss, "val_accuracy": loss}]
        write_run(run_folder(sweep, {"seed": seed}).path, {"seed": seed}, rows)
    figure = drawn(tmp_path)
    (axes,) = figure.axes
    (line,) = lines(axes)
    assert heights(line) == [0.5]
    low, high = sorted({point[1] for point in np.asarray(axes.collections[0].get_paths()[0].vertices).tolist()})
    assert (round(low, 4), round(high, 4)) == (0, 1.121)  # 0.5 ± 4.3027 * 0.25 / sqrt(3), of what is never negative
    assert figure.get_suptitle().startswith("Validation loss by epoch: 1 setting, model mlp\nMeans of 3 seeds.")
    assert "One line per setting, each the mean" in curves.explain(*frames(tmp_path), "val_loss")


def test_a_mean_is_pale_where_seeds_have_stopped(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(seed=[0, 1, 2]), epochs=1)
    for seed, epochs in enumerate((2, 5, 4)):
        write_run(run_folder(sweep, {"seed": seed}).path, {"seed": seed}, curve(epochs=epochs, seed=seed))
    figure = drawn(tmp_path)
    whole, rest = lines(figure.axes[0])
    assert (np.asarray(whole.get_xdata()).tolist(), whole.get_alpha()) == ([1, 2], None)
    assert (np.asarray(rest.get_xdata()).tolist(), rest.get_alpha()) == ([2, 3, 4, 5], stopping.PALE)
    assert [(text.get_text(), text.xy[0]) for text in figure.axes[0].texts] == [("n=2", 3), ("n=1", 5)]  # type: ignore[attr-defined]
    assert "it is pale, with the number n that is left" in curves.explain(*frames(tmp_path), "val_loss")


def test_a_seed_that_diverged_is_not_in_the_mean(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(seed=[0, 1, 2]))
    wild = [row | {"val_loss": 1e9} for row in curve()]
    write_run(run_folder(sweep, {"seed": 2}).path, {"seed": 2}, wild, status=Status.DIVERGED)
    figure = drawn(tmp_path)
    (line,) = lines(figure.axes[0])
    assert max(heights(line)) < 1
    assert figure.get_suptitle() == "Validation loss by epoch: 1 setting, model mlp\nMeans of 2 seeds."


def test_many_runs_are_shown_as_the_best_lines_over_bands(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(model__dropout=[step / 100 for step in range(40)]), epochs=2)
    figure = drawn(tmp_path)
    (axes,) = figure.axes
    best = [f"dropout {step / 100:g}" for step in range(8)]
    assert legend(figure) == ["nine tenths of all", "half of all", "median of all", *best]
    assert figure.get_suptitle() == "Validation loss by epoch: the 8 best, best first, of 40 runs, model mlp"
    losses = sorted(curve(dropout=step / 100, epochs=1)[0]["val_loss"] for step in range(40))
    assert heights(lines(axes)[0])[0] == pytest.approx((losses[19] + losses[20]) / 2)
    assert heights(lines(axes)[1])[0] == losses[0]
    assert "holds half of all 40 runs" in curves.explain(*frames(tmp_path), "val_loss")


def test_only_the_best_panels_are_shown_and_the_title_says_so(tmp_path: Path) -> None:
    rates = [round(0.001 * 1.5**step, 6) for step in range(14)]
    write_sweep(tmp_path, grid(optimizer__learning_rate=rates), epochs=2)
    figure = drawn(tmp_path)
    assert titles(figure) == [
        f"learning rate {rate:.6g}" for rate in rates[2:]
    ]  # synthetic curves improve with the rate
    assert figure.get_suptitle() == (
        "Validation loss by epoch: 12 of 14 runs, model mlp\nThe 12 panels with the best runs, of 14."
    )


def diverged(folder: Path) -> Path:
    points = grid(optimizer=["sgd", "adam", "rmsprop"])
    sweep = write_sweep(folder, points)
    rows = curve(epochs=4)
    for row, loss in zip(rows, (2.0, 1e9, math.inf, math.nan), strict=True):
        row["val_loss"] = row["loss"] = loss
    write_run(run_folder(sweep, points[0]).path, points[0], rows, status=Status.DIVERGED, reason="loss became NaN")
    return folder


def test_the_best_epoch_is_not_marked_where_the_history_lacks_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {}, curve(epochs=4))
    folder.history.write_text("".join(folder.history.read_text().splitlines(keepends=True)[:3]))
    assert not drawn(tmp_path).axes[0].collections  # the best was the fourth


def test_a_diverged_run_does_not_squash_the_others(tmp_path: Path) -> None:
    figure = drawn(diverged(tmp_path))
    (axes,) = figure.axes
    highest = max(row["val_loss"] for name in ("adam", "rmsprop") for row in curve(name))
    assert highest < axes.get_ylim()[1] < 1.1 * highest
    assert figure.get_suptitle().endswith("\nThe axis is cut at 0.67: 1 line goes beyond.")
    assert figure.get_supylabel() == "validation loss (axis cut)"
    (wild,) = [line for line in lines(axes) if max(heights(line)) > 1e8]
    assert heights(wild) == [2.0, 1e9]


def test_train_vs_val_has_a_panel_a_run_best_first(tmp_path: Path) -> None:
    figure = curves.train_vs_val(*frames(diverged(tmp_path)))
    assert titles(figure) == ["adam", "rmsprop", "sgd"]
    assert legend(figure) == ["training loss", "validation loss", "epoch of lowest validation loss"]
    train, validation = lines(figure.axes[0])
    assert heights(train) == [row["loss"] for row in curve("adam")]
    assert heights(validation) == [row["val_loss"] for row in curve("adam")]


def test_train_vs_val_shows_the_best_sixty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MAX_SMALL_PANELS", 2)
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "rmsprop"]))
    figure = curves.train_vs_val(*frames(tmp_path))
    assert titles(figure) == ["adam", "rmsprop"]
    assert "2 of 3 runs" in figure.get_suptitle()


@pytest.mark.parametrize("count", [1, 5, 7])
def test_the_legend_covers_no_panel(tmp_path: Path, count: int) -> None:
    write_sweep(tmp_path, grid(seed=range(count)))
    for figure in (drawn(tmp_path), curves.train_vs_val(*frames(tmp_path))):
        save(figure, tmp_path / "figure.png")
        box = figure.legends[0].get_window_extent()
        assert not any(present(axes.get_tightbbox()).overlaps(box) for axes in figure.axes)
        assert not any(axes.bbox.overlaps(other.bbox) for axes in figure.axes for other in figure.axes if axes != other)


def test_names_that_look_like_formulas_are_drawn_as_they_are(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {}, curve(), choices={"model": "$x_{", "optimizer": "a$b$"})
    save(drawn(tmp_path), tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 5000


def test_the_same_figure_gives_the_same_file(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam"]))
    for suffix in ("svg", "png"):
        first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
        save(drawn(tmp_path), first)
        save(drawn(tmp_path), second)
        assert first.read_bytes() == second.read_bytes()
    assert imread(tmp_path / "first.png").shape[1] > 1000


def test_a_figure_leaves_no_global_state(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    write_sweep(tmp_path, [{}])
    save(drawn(tmp_path), tmp_path / "figure.png")
    assert dict(mpl.rcParams) == before
    assert Gcf.get_num_fig_managers() == 0


def test_samples_show_names_over_images(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, [])
    write_samples(sweep)
    figure = samples.draw(sweep.samples)
    assert titles(figure)[:3] == ["T-shirt/top", "Trouser", "Pullover"]
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 255)] * 10


@pytest.mark.parametrize(
    ("shape", "drawn_shape"), [((4, 6), (4, 6)), ((4, 6, 1), (4, 6)), ((4, 6, 3), (4, 6, 3)), ((4, 6, 4), (4, 6, 4))]
)
def test_samples_come_in_any_usual_shape(tmp_path: Path, shape: tuple[int, ...], drawn_shape: tuple[int, ...]) -> None:
    names = np.array(["a", "b"])
    np.savez(tmp_path / "samples.npz", images=np.full((10, *shape), 0.5), labels=np.arange(10) % 2, class_names=names)
    image = samples.draw(tmp_path / "samples.npz").axes[0].images[0]
    assert present(image.get_array()).shape == drawn_shape
    assert image.get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"images": np.zeros((10, 4)), "labels": np.zeros(10, int), "class_names": np.array(["a"])}, r"shape \(4,\)"),
        ({"labels": np.zeros(10, int), "class_names": np.array(["a"])}, "it has no array 'images'"),
        ({"images": np.zeros((1, 4, 4)), "labels": np.array([7]), "class_names": np.array(["a"])}, "out of bounds"),
        ({"images": np.array([{}]), "labels": np.zeros(1), "class_names": np.array(["a"])}, "Object arrays"),
    ],
)
def test_invalid_samples_are_named(tmp_path: Path, arrays: dict[str, Any], reason: str) -> None:
    np.savez(tmp_path / "samples.npz", **arrays)
    with pytest.raises(FolderError, match=rf"samples\.npz: cannot be read as sample images .*{reason}"):
        samples.draw(tmp_path / "samples.npz")


def test_a_file_that_is_not_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(FolderError, match=r"samples\.npz: cannot be read as sample images"):
        samples.draw(tmp_path / "samples.npz")


def test_a_title_is_wrapped_at_commas() -> None:
    assert wrapped("learning rate 0.001, hidden units [100]", 24) == "learning rate 0.001,\nhidden units [100]"


def test_the_lowest_panel_of_each_column_names_its_axis(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(seed=range(5)))
    figure = curves.train_vs_val(*frames(tmp_path))
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "epoch", "epoch", "epoch"]
