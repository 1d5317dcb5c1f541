"""The parts of scripts/benchmark.py: the measurements, the programs that are timed, and the resulting tables."""
