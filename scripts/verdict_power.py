"""How often the verdict claims a difference, by simulation: ``python scripts/verdict_power.py --help`` says more."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from fashion_sweep.analysis.verdict import LEVEL, comparisons

COUNTS, SEEDS, DIFFERENCES = (2, 6, 18, 60), (3, 5, 10), (1, 2, 4)
UNEQUAL = 5.0
"""How many times the standard deviation of the steadiest setting the least steady one has."""


def main() -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=2000, help="simulated for each cell of the table")
    sweeps = parser.parse_args().sweeps
    better = [f"better by {each} sd: found" for each in DIFFERENCES]
    print(_row(["settings", "seeds", "all equal: claims", f"all equal, sd up to {UNEQUAL:g} times: claims", *better]))
    print(_row(["---"] * (4 + len(DIFFERENCES))))
    for count in COUNTS:
        for seeds in SEEDS:
            print(
                _row([str(count), str(seeds), *(f"{share:.1%}" for share in _shares(count, seeds, sweeps))]), flush=True
            )


def _shares(count: int, seeds: int, sweeps: int) -> Iterator[float]:
    """Shares of sweeps: of equal settings, in which anything is claimed; of one better one, in which it is told from a
    given other.
    """
    chance = np.random.default_rng([count, seeds])
    for spread in (1.0, UNEQUAL):
        yield float(np.mean([_p_values(chance, count, seeds, spread, 0).lt(LEVEL).any() for _ in range(sweeps)]))
    for difference in DIFFERENCES:
        found = [_p_values(chance, count, seeds, 1.0, difference) for _ in range(sweeps)]
        yield float(np.mean([p_values.index[0] == 0 and p_values[1] < LEVEL for p_values in found]))


def _p_values(chance: np.random.Generator, count: int, seeds: int, spread: float, difference: float) -> pd.Series:
    """Of a sweep whose setting 0 is better by ``difference`` standard deviations: by setting, the best one first."""
    values = chance.normal(size=(count, seeds)) * np.linspace(1, spread, count)[:, None]
    values[0] -= difference
    frame = pd.DataFrame(values)
    return comparisons(frame.loc[frame.mean(axis=1).sort_values().index])["p_value"]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
