"""Measure a run's saved model, or classify images with it: ``python scripts/evaluate.py --help`` says more."""

from fashion_sweep.__main__ import evaluate

if __name__ == "__main__":
    evaluate()
