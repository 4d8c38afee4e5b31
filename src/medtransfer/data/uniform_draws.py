"""Random numbers that are a function of counters, so a case's draw depends on no other case."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WEYL = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_WORD = (1 << 64) - 1


def uniform_draws(
    seed: int, epoch: int, case_numbers: npt.NDArray[np.integer], draws: int
) -> npt.NDArray[np.float64]:
    """Return uniform numbers by hashing (seed, epoch, case number, draw number).

    Args:
        seed: Any integer; its lowest 64 bits count.
        epoch: Number of the epoch, from 0.
        case_numbers: (B,) row numbers of the cases; order and company do not matter.
        draws: How many numbers each case needs.

    Returns:
        (B, draws) in [0, 1), multiples of 2**-53.

    Reference:
        Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014
        (the mixing function SplitMix64).

    Example:
        >>> both = uniform_draws(7, 0, np.array([3, 5]), 2)
        >>> bool((uniform_draws(7, 0, np.array([5]), 2)[0] == both[1]).all())
        True
    """
    state = _mix(np.array([seed & _WORD], dtype=np.uint64))
    state = _mix(state ^ np.array([epoch & _WORD], dtype=np.uint64))
    state = _mix(state ^ np.asarray(case_numbers).astype(np.uint64))
    words = _mix(state[:, None] + np.arange(draws, dtype=np.uint64) * _WEYL)
    numbers: npt.NDArray[np.float64] = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def _mix(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    words = words + _WEYL
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))
