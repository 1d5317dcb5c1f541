"""The parts of scripts/benchmark.py: what is timed, the programs that are timed, and the tables that come of it."""
