"""What scripts/reproduce_notes.py is made of: the notes' experiments as data, their sweeps, tables and figures."""
