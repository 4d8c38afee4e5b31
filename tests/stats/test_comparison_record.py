"""Which side leads, and what counts as significant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.stats.comparison_record import Better, leading_side
from medtransfer.stats.comparisons import welch

CLEAR = welch([0.90, 0.91, 0.92], [0.70, 0.71, 0.72])


@pytest.mark.parametrize(
    ("mean_a", "mean_b", "better", "leader"),
    [
        (0.8, 0.7, "higher", "a"),
        (0.7, 0.8, "higher", "b"),
        (0.8, 0.7, "lower", "b"),
        (0.7, 0.8, "lower", "a"),
        (0.1 + 0.2, 0.3, "higher", None),
        (0.0, 0.0, "lower", None),
    ],
)
def test_the_leader_is_decided_once(mean_a: float, mean_b: float, better: Better, leader: str | None) -> None:
    assert leading_side(mean_a, mean_b, better) == leader


def test_an_unknown_direction_is_refused_even_where_nobody_leads() -> None:
    with pytest.raises(UsageError, match="direction: expected 'higher' or 'lower', got 'up'"):
        leading_side(0.5, 0.5, "up")  # type: ignore[arg-type]


def test_the_adjusted_p_decides_where_there_is_one() -> None:
    assert CLEAR.significant()
    assert not replace(CLEAR, adjusted_p=0.3, correction="Holm", family_size=20).significant()
    assert not replace(CLEAR, adjusted_p=None, correction="Holm", family_size=0).significant()
    assert not replace(CLEAR, p=None).significant()


def test_p_at_alpha_is_not_significant() -> None:
    assert not replace(CLEAR, p=0.05).significant(0.05)
    assert replace(CLEAR, p=0.05).significant(0.0500001)
