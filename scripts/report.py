"""Write the report of sweeps: ``python scripts/report.py --help`` says more."""

from fashion_sweep.cli.report import main

if __name__ == "__main__":
    main()
