"""Intervals over both sources of variation: other runs of the training, scored on other patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.stats.crossed_draws import FloatArray, crossed_draws
from medtransfer.stats.patients import FEW_PATIENTS, MOST_UNDEFINED
from medtransfer.stats.stretched_draws import stretched_interval
from medtransfer.stats.summaries import check_confidence, sample_std, summarise_runs

CrossedFlag = Literal["few_patients", "one_run", "runs_do_not_vary"]


@dataclass(frozen=True)
class CrossedInterval:
    """A mean over runs, or a difference of two such means, with an interval over runs and patients."""

    point: float
    """Mean over runs on all cases, or the difference A - B of two means."""
    low: float | None
    """Lower end; null when there is a reason."""
    high: float | None
    """Upper end; null when there is a reason."""
    confidence: float
    """Level."""
    runs: tuple[int, ...]
    """Number of runs of the model, or of A and of B."""
    patients: int
    """Number of patients that were resampled."""
    draws: int
    """Number of draws made."""
    undefined: int
    """Draws in which the metric of a run was undefined and which do not count."""
    runs_share: float
    """Share of the variance of the point that the runs bring, in [0, 1]; the rest is the patients'."""
    df: float | None
    """Degrees of freedom of both sources together (Satterthwaite); null without an interval."""
    flags: tuple[CrossedFlag, ...] = ()
    """``few_patients``: fewer than 30; ``one_run``: a model has one run, whose training variation is
    not in the interval; ``runs_do_not_vary``: no model with several runs varies over them."""
    reason: str | None = None
    """Why the interval is null."""


@dataclass(frozen=True)
class CrossedRuns:
    """The runs of one model under the same draws of patients."""

    points: Sequence[float]
    """Metric of each run on all cases, finite, at least one."""
    values: npt.NDArray[Any]
    """Metric of each run under each draw, shape (runs, B), NaN where undefined."""
    seed: int
    """Seed of the draws of runs; another one for each model, as their runs are no pairs."""

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        if len(shape) != 2 or shape[0] != len(self.points) or not np.isfinite(self.points).all():
            raise ShapeError(
                f"crossed runs: expected a finite point per run and values of shape (runs, draws), got "
                f"{len(self.points)} points and shape {shape}. Leave failed runs out."
            )


def crossed_interval(runs: CrossedRuns, *, patients: int, confidence: float = 0.95) -> CrossedInterval:
    """Return the interval of a model's mean over runs, for retrained models on other patients.

    The percentiles of :func:`~medtransfer.stats.crossed_draws.crossed_draws` are moved away from the
    point by t / z, with the degrees of freedom of both sources after Satterthwaite: a handful of runs
    says little about its own spread. Simulated with 60 patients, the nominal 95 % interval covered
    91 to 98 % at 3 and 5 runs, whichever source was larger, and 87 to 95 % at 2 runs.

    Args:
        runs: The runs of the model.
        patients: Number of patients that were resampled.
        confidence: Level, in (0, 1).

    Raises:
        ShapeError: If there are no draws or the level is out of range.

    Reference:
        Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007; Satterthwaite, "An
        approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946.
    """
    return _interval((runs,), patients, confidence)


def crossed_difference(
    a: CrossedRuns, b: CrossedRuns, *, patients: int, confidence: float = 0.95
) -> CrossedInterval:
    """Return the interval of A - B for retrained models on other patients, the same for both.

    Args:
        a: The runs of the first model.
        b: The runs of the second model, under the same draws of patients.
        patients: Number of patients that were resampled.
        confidence: Level, in (0, 1).

    Raises:
        ShapeError: If the models do not have the same draws, or the level is out of range.
    """
    if np.shape(a.values)[1] != np.shape(b.values)[1]:
        raise ShapeError(
            "crossed difference: expected the same draws of patients for both models, got "
            f"{np.shape(a.values)[1]} and {np.shape(b.values)[1]}."
        )
    return _interval((a, b), patients, confidence)


def _interval(models: tuple[CrossedRuns, ...], patients: int, confidence: float) -> CrossedInterval:
    check_confidence(confidence)
    signs = (1.0, -1.0)
    point = sum(sign * summarise_runs(m.points).mean for sign, m in zip(signs, models, strict=False))
    crossed = _combined([crossed_draws(m.values, m.seed) for m in models])
    of_patients = _combined([np.asarray(m.values, dtype=np.float64).mean(axis=0) for m in models])
    defined = ~np.isnan(crossed)
    undefined = int((~defined).sum())
    reason = _reason(undefined, len(crossed), patients)
    parts = [((sample_std(m.points) or 0.0) ** 2 / len(m.points), len(m.points) - 1) for m in models]
    from_runs = sum(part for part, _ in parts)
    low = high = df = None
    share = 0.0
    if reason is None:
        parts.append((float(of_patients[defined].var(ddof=1)), patients - 1))
        total = sum(part for part, _ in parts)
        share = from_runs / total if total > 0 else 0.0
        df = _freedom(parts, total)
        low, high = stretched_interval(crossed[defined], point, df, confidence)
    return CrossedInterval(
        point=point,
        low=low,
        high=high,
        confidence=confidence,
        runs=tuple(len(m.points) for m in models),
        patients=patients,
        draws=len(crossed),
        undefined=undefined,
        runs_share=share,
        df=df,
        flags=_flags(models, from_runs, patients),
        reason=reason,
    )


def _combined(draws: list[FloatArray]) -> FloatArray:
    return draws[0] if len(draws) == 1 else draws[0] - draws[1]


def _freedom(parts: list[tuple[float, int]], total: float) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of variances; those of the patients without any."""
    if total <= 0:
        return float(parts[-1][1])
    return 1 / sum((part / total) ** 2 / freedom for part, freedom in parts if part > 0)


def _reason(undefined: int, draws: int, patients: int) -> str | None:
    if patients < 2:
        return "there are fewer than two patients"
    if undefined > MOST_UNDEFINED * draws or draws - undefined < 2:
        return f"the metric is undefined in {undefined} of {draws} draws of patients"
    return None


def _flags(models: tuple[CrossedRuns, ...], from_runs: float, patients: int) -> tuple[CrossedFlag, ...]:
    several = [m for m in models if len(m.points) > 1]
    return (
        *(("few_patients",) if patients < FEW_PATIENTS else ()),
        *(("one_run",) if len(several) < len(models) else ()),
        *(("runs_do_not_vary",) if several and from_runs == 0 else ()),
    )
