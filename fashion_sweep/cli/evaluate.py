"""The command line ``fashion-sweep-evaluate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from fashion_sweep.cli import evaluate_selected as selected
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import errors_said
from fashion_sweep.config import recorded
from fashion_sweep.config.redaction import redacted_errors
from fashion_sweep.errors import UserError
from fashion_sweep.evaluation.importing import first_import
from fashion_sweep.evaluation.saved_model import Model, TrainedRun, choose, load, open_run
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.plain_text import clean

DESCRIPTION = """\
Load the best model of a run and measure it: loss and accuracy on the validation images that training held out.

DIR is a run's folder. The best model is used (best.keras, saved by callbacks=checkpoint) or else the last one
(last.keras, last.h5, or last.weights.h5, whose model is built from the run's config). With --selected, DIR is a sweep's
folder, and the best models of its best setting are measured: of every run that counts in the report's verdict.

Looks at the test images of a sweep are recorded in its test.json, before the figures are shown."""

EPILOG = """\
examples:
  evaluate.py outputs/runs/RUN                        validation loss and accuracy of the best model
  evaluate.py outputs/runs/RUN --test                 final evaluation on the dataset's test images
  evaluate.py outputs/runs/RUN --last --confusion     the last model, with its confusion matrix
  evaluate.py outputs/runs/RUN --predict mine.npz     classes and probabilities, into mine.predictions.csv
  evaluate.py outputs/sweeps/SWEEP --selected --test  final evaluation of the sweep's best setting

exit codes: 0 success; 2 no such run, model or file, or it is damaged"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit if it fails."""
    arguments = _parser().parse_args(argv)
    with errors_said():
        check_names(argv)
        _run(arguments)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of a run; with --selected, of a sweep")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--last", action="store_true", help="use the model of the last epoch instead of the best")
    which.add_argument("--file", metavar="NAME", help="use this file of the run's folder, such as epoch03.keras")
    which.add_argument("--selected", action="store_true", help="use the best models of a sweep's best setting")
    images = parser.add_mutually_exclusive_group()
    images.add_argument(
        "--test",
        action="store_true",
        help="use the test images instead of the validation images: Fashion-MNIST's, or x_test and y_test of an .npz",
    )
    images.add_argument(
        "--predict", metavar="FILE.npz", type=Path, help="classify the images of a file (array images, x_test or x)"
    )
    parser.add_argument("--confusion", action="store_true", help="draw the confusion matrix: confusion_validation.png")
    parser.add_argument(
        "--output",
        metavar="PATH",
        type=Path,
        help="file or existing folder for what is written (default: the run's folder; for --predict beside FILE.npz)",
    )
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.predict and arguments.confusion:
        raise UserError("--confusion needs images whose classes are known; give it without --predict")
    if arguments.output and not (arguments.predict or arguments.confusion):
        raise UserError("--output is for what --predict or --confusion writes; give one of them")
    if arguments.selected:
        if arguments.predict or arguments.confusion:
            raise UserError(
                "--selected measures the models of several runs; --predict and --confusion take one: give its folder"
            )
        selected.run(arguments.folder, on_test_images=arguments.test)
        return
    run = open_run(arguments.folder)
    with redacted_errors(run.hidden):
        file = choose(run, last=arguments.last, name=arguments.file)
        recorded.check(run.folder, run.record.config)
        print(f"model     {clean(str(file))}")
        with first_import(run):
            (_predict if arguments.predict else _evaluate)(run, file, arguments)


def _evaluate(run: TrainedRun, file: Path, arguments: argparse.Namespace) -> None:
    from fashion_sweep.evaluation import measure

    images = measure.test_images(run) if arguments.test else measure.validation_images(run)
    picture = _output(arguments.output, run.folder.path / f"confusion_{images.name}.png")
    found = (_look if arguments.test else _validate)(run, file, images)
    if images.note:
        print(f"warning: {images.note}", file=sys.stderr)
    if arguments.confusion:
        _draw(found, run, picture)


def _validate(run: TrainedRun, file: Path, images: Any) -> Any:
    from fashion_sweep.evaluation import measure

    found = measure.evaluate(run, file, images)
    _say(found)
    _compare(measure.recorded_epoch(run, found), run)
    return found


def _look(run: TrainedRun, file: Path, images: Any) -> Any:
    from fashion_sweep.evaluation import looking
    from fashion_sweep.reporting.looks import interval

    found, figures, looks = looking.look_at_run(Model(run, file), images)
    _say(found, interval(figures.loss), interval(figures.accuracy))
    if looks:
        print(f"looks     {len(looks)} at the test images, recorded in this sweep's test.json")
    return found


def _say(found: Any, of_loss: str = "", of_accuracy: str = "") -> None:
    print(f"images    {len(found.truth):,} {found.images} images")
    print(f"loss      {found.loss:.6f}{f' ({of_loss})' if of_loss else ''}")
    print(f"accuracy  {found.accuracy:.6f} ({'; '.join(filter(None, [f'{found.correct:,} correct', of_accuracy]))})")


def _compare(epoch: int | None, run: TrainedRun) -> None:
    if epoch is None:
        print(f"warning: no epoch of {run.folder.history} has this loss and accuracy", file=sys.stderr)
    else:
        print(f"recorded  identical in epoch {epoch} of {run.record.epochs_run}")


def _draw(found: Any, run: TrainedRun, picture: Path) -> None:
    from fashion_sweep.evaluation import confusion
    from fashion_sweep.reporting.figure_style import save

    save(confusion.figure(found, run.class_names), picture)
    print(f"confusion {clean(str(picture))}")


def _predict(run: TrainedRun, file: Path, arguments: argparse.Namespace) -> None:
    from fashion_sweep.evaluation import measure

    source: Path = arguments.predict
    output = _output(arguments.output, source.with_name(f"{source.stem}.predictions.csv"))
    images = measure.read_images(source, run.input_shape)
    rows = measure.probabilities(run, file, load(run, file), images)
    write_text(output, measure.predictions_csv(rows, run.class_names))
    print(f"images    {len(images):,} of {clean(str(source))}")
    print(f"classes   {clean(str(output))}")


def _output(given: Path | None, default: Path) -> Path:
    """The file to write. Raises UserError if its folder does not exist."""
    path = default if given is None else given / default.name if given.is_dir() else given
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder to write {path.name} to")
    return path
