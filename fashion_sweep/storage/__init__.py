"""The files of runs and sweeps: who owns them, how they are written, and what a run is known by."""
