"""Train a run again and compare: ``python scripts/reproduce.py --help`` says more."""

from fashion_sweep.__main__ import reproduce

if __name__ == "__main__":
    reproduce()
