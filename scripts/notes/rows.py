"""What the lecture notes report, as data: which of our runs to compare each of their numbers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Reported = float | tuple[float, float]
"""A number of the notes as printed, or a range where they say "about epoch 7 to 8"."""

MEASURES = {
    "last_loss": "loss",
    "last_accuracy": "accuracy",
    "last_val_loss": "val_loss",
    "last_val_accuracy": "val_accuracy",
    "best_val_loss": "lowest val_loss",
    "best_val_accuracy": "val_accuracy there",
    "best_epoch": "epoch of lowest val_loss",
    "epochs_run": "epochs run",
}
"""Columns of the frame of runs, and what tables call them."""

EPOCHS = ("best_epoch", "epochs_run")
"""Measures that count epochs."""


@dataclass(frozen=True)
class Experiment:
    """A choice of conf/experiment, and the key whose values make its replicates."""

    name: str
    replicated: str = "seed"
    first: int = 0  # the first value of that key; the others follow it

    def replicates(self, count: int) -> range:
        """The values of the replicated key."""
        return range(self.first, self.first + count)


@dataclass(frozen=True)
class Row:
    """One training run of the notes, and what they report about it."""

    what: str
    experiment: str
    reported: Mapping[str, Reported]  # of MEASURES
    where: Mapping[str, object] = field(default_factory=dict)  # column of the frame of runs -> value


@dataclass(frozen=True)
class Curve:
    """A training run whose curves the notes show, and what they say about them."""

    what: str
    says: str
    experiment: str
    where: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Restored:
    """Files from which a run's model can be restored, and the epoch whose metrics it must then have."""

    experiment: str
    file: str
    epoch: str  # last or best


EXPERIMENTS = (
    Experiment("notes_logistic", "model.random_state", first=42),
    Experiment("notes_softmax"),
    Experiment("notes_sigmoid"),
    Experiment("notes_relu"),
    Experiment("notes_optimizers"),
    Experiment("notes_loss_curves"),
    Experiment("notes_overfitting"),
    Experiment("notes_dropout"),
    Experiment("notes_saving"),
    Experiment("notes_checkpoint"),
    Experiment("notes_early_stopping"),
)

ROWS = (
    *(
        Row(
            f"SGDClassifier, max_iter {most}",
            "notes_logistic",
            {"last_val_accuracy": accuracy},
            {"model.max_iter": most},
        )
        for most, accuracy in ((5, 0.8196), (9, 0.8304), (20, 0.8437))
    ),
    Row(
        "softmax layer",
        "notes_softmax",
        {"last_loss": 0.4301, "last_accuracy": 0.8540, "last_val_loss": 0.4429, "last_val_accuracy": 0.8507},
    ),
    Row("100 sigmoid units", "notes_sigmoid", {"last_loss": 0.3364, "last_accuracy": 0.8779}),
    Row(
        "100 ReLU units",
        "notes_relu",
        {"last_loss": 0.3167, "last_accuracy": 0.8853, "last_val_loss": 0.3683, "last_val_accuracy": 0.8748},
    ),
    *(
        Row(what, "notes_optimizers", dict(zip(("last_loss", "last_accuracy"), figures, strict=True)), where)
        for what, where, figures in (
            ("SGD 0.01", {"optimizer": "sgd"}, (0.4437, 0.8474)),
            ("SGD 0.1", {"optimizer": "sgd_high_rate"}, (0.3332, 0.8774)),
            ("SGD 0.01, momentum 0.9", {"optimizer": "momentum"}, (0.3342, 0.8773)),
            ("SGD 0.01, Nesterov momentum 0.9", {"optimizer": "nesterov"}, (0.3304, 0.8795)),
            ("RMSprop", {"optimizer": "rmsprop"}, (0.3150, 0.8873)),
            ("Adagrad", {"optimizer": "adagrad"}, (0.6094, 0.8033)),
        )
    ),
    Row(
        "Adam",
        "notes_optimizers",
        {"last_loss": 0.3106, "last_accuracy": 0.8852, "last_val_loss": 0.3511, "last_val_accuracy": 0.8737},
        {"optimizer": "adam"},
    ),
    Row("Adam", "notes_overfitting", {"best_epoch": 10}, {"optimizer": "adam"}),
    Row("Adam, dropout 0.3", "notes_dropout", {"best_epoch": (7, 8)}),
    Row("Adam, dropout 0.3, restored", "notes_saving", {"last_val_accuracy": 0.8798}),
    Row(
        "Adam, dropout 0.3, best epoch kept", "notes_checkpoint", {"best_val_loss": 0.3210, "best_val_accuracy": 0.8885}
    ),
    Row("Adam, dropout 0.3, patience 2", "notes_early_stopping", {"epochs_run": 11}),
)

CURVES = (
    Curve("RMSprop, 5 epochs", "the loss falls.", "notes_loss_curves", {"epochs": 5}),
    Curve("RMSprop, 20 epochs", "the loss goes on falling.", "notes_loss_curves", {"epochs": 20}),
    Curve("RMSprop", "val_loss falls, then rises: overfitting.", "notes_overfitting", {"optimizer": "rmsprop"}),
    Curve("Adam", "less of it; val_loss falls until about epoch 10.", "notes_overfitting", {"optimizer": "adam"}),
    Curve("Adam, dropout 0.3", "val_loss lowest at about epoch 7 to 8.", "notes_dropout"),
)

OVERFITTING = ("RMSprop", "Adam", "Adam, dropout 0.3")
"""Curves ordered by how much they overfit according to the notes, most first."""

RESTORED = (
    Restored("notes_saving", "last.weights.h5", "last"),
    Restored("notes_saving", "last.keras", "last"),
    Restored("notes_checkpoint", "best.keras", "best"),
    Restored("notes_early_stopping", "last.keras", "best"),
)

STOPPED = "notes_early_stopping"
"""The experiment with early stopping."""
