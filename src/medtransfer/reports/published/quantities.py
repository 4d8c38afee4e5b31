"""Levels, differences and p-values of published results as the words their tables show."""

from __future__ import annotations

from medtransfer.reports.phrases import NONE, number
from medtransfer.reports.published.records import PublishedResult

SMALLEST_SHOWN = 1e-4
"""p-values below this are shown as a bound."""


def p_text(p: float | None) -> str:
    """Return a p-value for a cell; a dash where there is none.

    Example:
        >>> p_text(0.0371), p_text(2e-9), p_text(None), p_text(1.0)
        ('0.037', '< 0.0001', '–', '1.000')
    """
    if p is None:
        return NONE
    if p < SMALLEST_SHOWN:
        return "< 0.0001"
    return number(p, 4 if p < 0.001 else 3)


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign.

    Example:
        >>> signed(0.114), signed(-2.0, 1), signed(0.0)
        ('+0.11', '−2.0', '0.00')
    """
    if value is None:
        return NONE
    rounded = round(value, digits)
    return ("+" if rounded > 0 else "") + number(rounded + 0.0, digits)


def level_text(result: PublishedResult) -> str:
    """Return a level with the spread the source shows, both in percent.

    Example:
        >>> level_text(PublishedResult("s", "t", "DXC14", "AUC%", "Scratch", "r", 80.31, 0.1, None, "percent"))
        '80.31 ± 0.10'
    """
    if result.unit == "points":
        return f"{result.mean:+g}".replace("-", "−")
    if result.std is None:
        return number(result.mean, 2)
    return f"{number(result.mean, 2)} ± {number(result.std, 2)}"
