"""From a command line to specs of runs, checked before the first one starts."""
