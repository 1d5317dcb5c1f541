"""Results of sweeps for notebooks and scripts: read, compared, drawn; see docs/notebooks.md.

Compute libraries are imported by ``Run.model`` alone.
"""

from fashion_sweep.analysis.comparison import Comparison
from fashion_sweep.results.answers import Best, Difference, Effects
from fashion_sweep.results.command import sweep
from fashion_sweep.results.load import Results, load_sweep
from fashion_sweep.results.run import Run
from fashion_sweep.results.tested import Tested

__all__ = ["Best", "Comparison", "Difference", "Effects", "Results", "Run", "Tested", "load_sweep", "sweep"]
