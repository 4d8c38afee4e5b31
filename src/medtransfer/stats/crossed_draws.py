"""Both sources of variation at once: other runs of the training, scored on other patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError

FloatArray = npt.NDArray[np.float64]


def crossed_draws(values: npt.NDArray[Any], seed: int) -> FloatArray:
    """Return draws of the mean over runs, in which runs and patients are both drawn again.

    Every draw of patients is combined with a draw of as many runs, with replacement. A draw of n runs
    spreads by (n - 1) / n too little, which matters with three or five: its deviation from the mean
    over all runs is widened by sqrt(n / (n - 1)). Compare two models through the difference of their
    crossed draws on the same patients.

    Args:
        values: Metric of each run under each draw of patients, shape (runs, B); NaN where undefined.
            The patients of a column are the same for all runs.
        seed: Seed of the draws of runs; another one for each model, as their runs are no pairs.

    Returns:
        Shape (B,), NaN where the metric is undefined for a run; of a single run, its values.

    Raises:
        ShapeError: If there are no runs or no draws.

    Reference:
        Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007 (rows and columns
        resampled independently).

    Example:
        >>> crossed_draws(np.array([[0.8, 0.9, 0.7]]), seed=1).tolist()
        [0.8, 0.9, 0.7]
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ShapeError(f"crossed draws: expected values of shape (runs, draws), got {table.shape}.")
    runs, draws = table.shape
    if runs == 1:
        return np.array(table[0])
    counts = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=draws)
    means = table.mean(axis=0)
    deviations = (counts.T * (table - means)).sum(axis=0) / runs
    return np.asarray(means + np.sqrt(runs / (runs - 1)) * deviations)
