"""The files of runs and sweeps: names, formats, atomic writes, ownership, identity and provenance."""
