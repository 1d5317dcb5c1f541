"""Measure a run's saved model, or classify images with it: ``python scripts/evaluate.py --help`` says more."""

from fashion_sweep.cli.evaluate import main

if __name__ == "__main__":
    main()
