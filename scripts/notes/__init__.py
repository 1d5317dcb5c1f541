"""The parts of scripts/reproduce_notes.py: the notes' experiments as data, their sweeps, tables and figures."""
