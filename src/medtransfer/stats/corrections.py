"""Adjusted p-values of a family of tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from statsmodels.stats.multitest import multipletests

from medtransfer.core.errors import ShapeError


@dataclass(frozen=True)
class AdjustedPValues:
    """The p-values of a family after correction."""

    method: str
    """``Holm`` or ``Benjamini-Hochberg``."""
    values: tuple[float | None, ...]
    """Adjusted p-values in [0, 1], in the order given; null stays null."""
    tests: int
    """Number of tests the correction counts."""
    without_p: int
    """Number of comparisons that have no p-value and are not counted."""


def holm(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for the chance of any false claim in the family; for claims.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].

    Reference:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6, 1979.

    Example:
        >>> [round(p, 3) for p in holm([.01, .04, .03, .005]).values]
        [0.03, 0.06, 0.06, 0.02]
    """
    return _adjust(p_values, "holm", "Holm")


def benjamini_hochberg(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for the expected share of false claims among the claims; for screening.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].

    Reference:
        Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
        Statistical Society B 57, 1995.
    """
    return _adjust(p_values, "fdr_bh", "Benjamini-Hochberg")


def _adjust(p_values: Sequence[float | None], method: str, title: str) -> AdjustedPValues:
    present = [float(p) for p in p_values if p is not None]
    if not all(0 <= p <= 1 for p in present):
        raise ShapeError(f"p-values: expected numbers in [0, 1] or null, got {list(p_values)!r}.")
    adjusted = iter(multipletests(present, method=method)[1] if present else ())
    return AdjustedPValues(
        method=title,
        values=tuple(None if p is None else float(next(adjusted)) for p in p_values),
        tests=len(present),
        without_p=len(p_values) - len(present),
    )
