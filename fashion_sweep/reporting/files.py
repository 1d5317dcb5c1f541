"""The names of a report's files, apart from the modules that write them, which take seconds to import."""

FIGURES = ("val_loss", "accuracy", "train_vs_val", "samples", "levels", "pairs")
"""Without the suffix."""
FORMATS = ("png", "svg", "pdf")
SECTIONS = ("effects.csv", "importance.csv", "dynamics.csv", "cost.csv")
LATEX = ("settings.tex", "methods.tex")
NAMES = ("index.html", "summary.csv", "summary.md", "replicates.csv", "comparison.csv", "comparison.md", *SECTIONS,
         *LATEX, *(f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS))  # fmt: skip
"""All that a report may have."""
