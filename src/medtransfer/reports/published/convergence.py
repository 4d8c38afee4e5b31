"""Time to convergence of a validation curve, by study C's definition without its sentinel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 10
"""Last epochs whose mean is the level a curve converges to."""
TOLERANCE: Final = 0.005
"""Largest relative distance from that level."""
LEAST_AFTER: Final = 5
"""Epochs that must be left, so that converging in the last ones does not count."""
SENTINEL: Final = 100
"""What study C writes for a curve that does not converge, however many epochs it has."""


@dataclass(frozen=True)
class Convergence:
    """When a curve first came close to where it ended."""

    epoch: int | None
    """First position, from 0; null when censored or undefined."""
    epochs: int
    """Number of epochs n."""
    level: float | None
    """Mean of the last ten values; null where it is undefined."""
    censored: bool
    """Whether no position qualifies: convergence is later than can be seen with so many epochs."""
    reason: str = ""
    """Why it is undefined; empty otherwise."""

    @property
    def as_printed(self) -> int:
        """What study C would write: the position, or 100 for a curve that does not converge."""
        return SENTINEL if self.epoch is None else self.epoch


def time_to_convergence(values: Sequence[float | None]) -> Convergence:
    """Return the first position within half a percent of the mean of the last ten values.

    With values v_0 to v_(n-1) and m the mean of the last ten: the smallest p up to n - 5 with
    ``|v_p - m| / m <= 0.005``. A curve without such a p is censored; study C writes 100 there, which
    reads like an epoch and is none where training had 50.

    Args:
        values: One value of the validation metric per epoch; null where none was logged.

    Returns:
        The position, or why there is none: fewer than ten epochs, a missing value among the last
        ten, or a level that is not positive.

    Example:
        >>> time_to_convergence([0.5, 0.7, 0.79] + [0.8] * 12).epoch
        3
        >>> time_to_convergence([i / 10 for i in range(1, 15)]).censored
        True
    """
    n = len(values)
    if n < WINDOW:
        return Convergence(None, n, None, censored=False, reason=f"fewer than {WINDOW} epochs")
    last = [value for value in values[-WINDOW:] if value is not None and math.isfinite(value)]
    if len(last) < WINDOW:
        return Convergence(None, n, None, censored=False, reason=f"a missing value among the last {WINDOW}")
    level = math.fsum(last) / WINDOW
    if level <= 0:
        return Convergence(None, n, level, censored=False, reason="a level that is not positive")
    for position, value in enumerate(values[: n - LEAST_AFTER + 1]):
        if value is not None and abs(value - level) / level <= TOLERANCE:
            return Convergence(position, n, level, censored=False)
    return Convergence(None, n, level, censored=True)
