"""Ticks where the drawing libraries choose badly: logarithmic scales and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

_STEPS = (1, 2, 5)
_MARGIN = 1.25


def logarithmic_ticks(values: Sequence[float], most: int = 5) -> tuple[tuple[float, str], ...]:
    """Return round numbers around positive values: 1, 2 and 5 times powers of ten, at most ``most``.

    Args:
        values: Positive numbers, at least one.
        most: Largest number of ticks, at least 2.

    Example:
        >>> logarithmic_ticks([3, 40])
        ((2.0, '2'), (5.0, '5'), (10.0, '10'), (20.0, '20'), (50.0, '50'))
        >>> [label for _, label in logarithmic_ticks([0.02, 30_000])]
        ['0.01', '1', '100', '10,000']
    """
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    fine = _around([step * 10.0**power for power in powers for step in _STEPS], low, high)
    coarse = _around([10.0**power for power in powers], low, high)
    while len(fine) > most and len(coarse) > most:
        coarse = coarse[::2]
    chosen = fine if len(fine) <= most else coarse
    return tuple((place, f"{place:,.10g}") for place in chosen)


def logarithmic_limits(values: Sequence[float], ticks: Sequence[tuple[float, str]]) -> tuple[float, float]:
    """Return where a logarithmic axis begins and ends so that values and ticks are inside."""
    places = [*values, *(place for place, _ in ticks)]
    return min(places) / _MARGIN, max(places) * _MARGIN


def count_ticks(highest: int, most: int = 8) -> tuple[tuple[float, str], ...]:
    """Return whole numbers from 1 to a number, in steps that keep them few.

    Example:
        >>> [label for _, label in count_ticks(5)], [label for _, label in count_ticks(20)]
        (['1', '2', '3', '4', '5'], ['1', '4', '7', '10', '13', '16', '19'])
    """
    step = max(1, math.ceil(highest / most))
    return tuple((float(number), str(number)) for number in range(1, highest + 1, step))


def _around(places: Sequence[float], low: float, high: float) -> list[float]:
    """Return the places between the last one at or below ``low`` and the first one at or above ``high``."""
    below = max(place for place in places if place <= low * (1 + 1e-9))
    above = min(place for place in places if place >= high * (1 - 1e-9))
    return [place for place in places if below <= place <= above]
