"""Write the report of sweeps: ``python scripts/report.py --help`` says more."""

from fashion_sweep.__main__ import report

if __name__ == "__main__":
    report()
