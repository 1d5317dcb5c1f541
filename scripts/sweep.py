"""The command line of sweeps: ``python scripts/sweep.py --help``, and ``cluster --help`` for those on a cluster."""

from fashion_sweep.__main__ import main

if __name__ == "__main__":
    main()
