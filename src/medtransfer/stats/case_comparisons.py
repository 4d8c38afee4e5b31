"""Two models compared over patients: for cells that no seed can change, or whose runs are few."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparison_record import Better, Comparison, Flag, leading_side
from medtransfer.stats.patients import FloatArray, checked_draws, paired_bootstrap_p, sign_flip_floor
from medtransfer.stats.power import POWER, detectable_from_standard_error
from medtransfer.stats.stretched_draws import stretched_interval
from medtransfer.stats.summaries import check_confidence

_LARGEST_LOG = 700.0
"""A ratio whose logarithm goes beyond this is no number any more."""


def compare_by_cases(
    point_a: float,
    point_b: float,
    draws_a: npt.NDArray[Any],
    draws_b: npt.NDArray[Any],
    better: Better = "higher",
    *,
    patients: int,
    df: float | None = None,
    confidence: float = 0.95,
    alpha: float = 0.05,
) -> Comparison:
    """Compare two models by the paired bootstrap over patients.

    It asks whether other patients would show the difference; it knows nothing of retraining. p-value and
    intervals are those of the draws moved away from the point by t / z, so that an interval leaves 0 out
    where p is below its error rate; the interval of the relative difference is moved as a log ratio.

    Args:
        point_a: Metric of A on all cases.
        point_b: Metric of B on all cases.
        draws_a: Metric of A per draw of patients, shape (B,), NaN where undefined.
        draws_b: Metric of B on the same draws, shape (B,).
        better: Direction of the metric.
        patients: Number of patients that were resampled; not of cases.
        df: Degrees of freedom of the spread of the draws; one less than patients by default.
        confidence: Level of the intervals, in (0, 1).
        alpha: Error rate of the minimum detectable effect, in (0, 0.8).

    Returns:
        The comparison; p is null with fewer than two patients or too many undefined draws. There are
        no intervals either where so few patients give no p-value below their error rate: five at 95 %.

    Raises:
        ShapeError: If the draws do not have the same shape, a value is not finite, or a level is out
            of range.
    """
    check_confidence(confidence)
    a, b = checked_draws(draws_a), checked_draws(draws_b)
    if a.shape != b.shape or not (np.isfinite(point_a) and np.isfinite(point_b)):
        raise ShapeError(
            "paired bootstrap: expected finite points and the same draws for both models, got "
            f"{point_a!r} and {point_b!r} with {len(a)} and {len(b)} draws."
        )
    freedom = patients - 1 if df is None else df
    p = paired_bootstrap_p(a - b, point_a - point_b, patients=patients, df=freedom)
    flags: tuple[Flag, ...] = ()
    if p is None:
        flags = ("undetermined",) if patients < 2 else ("undetermined", "too_many_undefined_draws")
    defined = ~np.isnan(a - b)
    low = high = None
    bounded = p is not None and 2 * sign_flip_floor(patients) < 1 - confidence
    if bounded:
        low, high = stretched_interval((a - b)[defined], point_a - point_b, freedom, confidence)
    relative, relative_low, relative_high = _relative_percent(
        point_a, point_b, a[defined], b[defined], freedom, confidence if bounded else None
    )
    spread = float(np.std((a - b)[defined], ddof=1)) if p is not None and defined.sum() > 1 else 0.0
    return Comparison(
        test="paired bootstrap over patients",
        sidedness="two-sided",
        paired=True,
        pair_shares="the patients of each draw",
        unit="patients",
        n_a=patients,
        n_b=patients,
        mean_a=point_a,
        mean_b=point_b,
        statistic=None,
        df=None,
        p=p,
        difference=point_a - point_b,
        low=low,
        high=high,
        confidence=confidence,
        relative_percent=relative,
        relative_low=relative_low,
        relative_high=relative_high,
        minimum_detectable_effect=detectable_from_standard_error(spread, alpha=alpha) if spread > 0 else None,
        alpha=alpha,
        power=POWER,
        better=better,
        leader=leading_side(point_a, point_b, better),
        flags=flags,
    )


def _relative_percent(
    point_a: float, point_b: float, a: FloatArray, b: FloatArray, df: float, confidence: float | None
) -> tuple[float | None, float | None, float | None]:
    """Return the relative difference in percent; without an interval where a ratio is not positive."""
    if point_a <= 0 or point_b <= 0:
        return None, None, None
    relative = (point_a / point_b - 1) * 100
    if confidence is None or (b <= 0).any() or (a <= 0).any():
        return relative, None, None
    ends = stretched_interval(np.log(a / b), math.log(point_a / point_b), df, confidence)
    if max(ends) > _LARGEST_LOG:
        return relative, None, None
    low, high = (100 * math.expm1(end) for end in ends)
    return relative, low, high
