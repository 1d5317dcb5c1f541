"""Train a run again and compare: ``python scripts/reproduce.py --help`` says more."""

from fashion_sweep.cli.reproduce import main

if __name__ == "__main__":
    main()
