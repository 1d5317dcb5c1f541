"""Compare an engine on this machine with plain Keras: ``python scripts/check_engine.py --help`` says more."""

from fashion_sweep.__main__ import check_engine

if __name__ == "__main__":
    check_engine()
