"""Study C's adjustment for effective data size: a population computed between two measured ones, never measured.

The study asks how a model pretrained on the smaller CT collection would do if that collection held as
many different images as its size promises. It interpolates the results of two pretraining sizes and
draws four values of the wanted mean and spread, shaped after the runs of the larger one. What comes
out is no data: it is a :class:`~medtransfer.reports.published.records.DerivedPopulation`, which no
function of :mod:`medtransfer.stats` is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.reports.published.records import DerivedPopulation

SMALL_SIZE: Final = 1_281_167
"""Images the smaller CT collection was cut to (code R)."""
LARGE_SIZE: Final = 12_034_617
"""Images of the larger CT collection (code RF)."""
ErrorFormula = Literal["printed", "corrected"]
"""``printed`` treats slope and intercept of the line as independent; ``corrected`` propagates the two ends."""


@dataclass(frozen=True)
class EffectiveSize:
    """One estimate of how much larger the smaller collection had to be."""

    code: str
    """Name in the study."""
    name: str
    """Name for people."""
    factor: float
    """Size asked for over the size of the smaller collection."""

    @property
    def share(self) -> float:
        """Place between the two sizes, 0 at the smaller and 1 at the larger."""
        return (self.factor - 1) * SMALL_SIZE / (LARGE_SIZE - SMALL_SIZE)


LOWER_BOUND: Final = EffectiveSize("LB", "lower bound", 1.136)
"""From how well stacks of slices compress."""
UPPER_BOUND: Final = EffectiveSize("UB", "upper bound", 3.807)
"""From the mutual information of slices; the study's headline figures use this one."""


def derived_population(
    small: Sequence[float],
    large: Sequence[float],
    size: EffectiveSize,
    error: ErrorFormula = "printed",
    parents: tuple[str, str] = ("R", "RF"),
) -> DerivedPopulation:
    """Return the values the study computes for an effective size.

    Args:
        small: Runs of the model pretrained on the smaller collection, at least two.
        large: Runs of the model pretrained on the larger one, at least two, not all equal.
        size: Which effective size.
        error: Which formula gives the spread.
        parents: Names of the two cells.

    Returns:
        As many values as there are runs in ``large``, with their z-scores.

    Raises:
        ShapeError: If an arm has fewer than two runs, a value is not finite, or ``large`` does not vary.

    Example:
        >>> found = derived_population([0.8, 0.9], [0.9, 1.0], EffectiveSize("x", "x", 1.0), "corrected")
        >>> [round(value, 6) for value in found.values]
        [0.8, 0.9]
    """
    first, second = (np.asarray(runs, dtype=np.float64) for runs in (small, large))
    if min(len(first), len(second)) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ShapeError(
            f"derived population: expected two finite runs at least on both sides, got {list(small)!r} and "
            f"{list(large)!r}. Import the missing runs."
        )
    if np.ptp(second) == 0:
        raise ShapeError(
            "derived population: expected runs that vary, got equal ones. Their z-scores are undefined."
        )
    middle = first.mean() + size.share * (second.mean() - first.mean())
    spread = interpolated_spread(float(first.std()), float(second.std()), size, error)
    scores = (second - second.mean()) / second.std()
    return DerivedPopulation(
        name=f"{parents[0]} at its effective size, {size.name} ({size.code})",
        values=tuple(float(value) for value in middle + scores * spread),
        formula=(
            f"mean interpolated {size.share:.3f} of the way from {parents[0]} to {parents[1]}, spread by the {error} "
            f"formula, z-scores of the runs of {parents[1]}"
        ),
        parents=parents,
    )


def interpolated_spread(small: float, large: float, size: EffectiveSize, error: ErrorFormula) -> float:
    """Return the spread at an effective size from the population spreads at the two ends.

    The study's formula adds the variances of slope and intercept as if the two were independent; they
    come from the same two points. The corrected one weighs the variances of the ends.

    Args:
        small: Standard deviation (ddof 0) at the smaller size.
        large: Standard deviation (ddof 0) at the larger size.
        size: Where to.
        error: Which formula.
    """
    if error == "corrected":
        return math.hypot((1 - size.share) * small, size.share * large)
    slope = math.hypot(small, large) / (LARGE_SIZE - SMALL_SIZE)
    intercept = math.hypot(large, slope * LARGE_SIZE)
    return math.hypot(slope * size.factor * SMALL_SIZE, intercept)


def repeat_printed_p(population: DerivedPopulation, runs: Sequence[float]) -> float:
    """Return the p-value study C computes from a derived population, as a quotation.

    It is Welch's formula fed with four values that nobody measured. It answers no question about
    models and is repeated only so that the printed figures can be recognised. It stands apart from
    :mod:`medtransfer.stats` on purpose.

    Args:
        population: Values that were computed.
        runs: Measured runs it was compared with in print, at least two.
    """
    return float(stats.ttest_ind(population.values, list(runs), equal_var=False).pvalue)


def repeat_printed_delta(population: DerivedPopulation, runs: Sequence[float]) -> float:
    """Return the relative difference in percent that study C computes from a derived population."""
    return 100 * (float(np.mean(population.values)) / float(np.mean(list(runs))) - 1)
