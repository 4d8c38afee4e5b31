"""The detectable difference: how it moves, and what is refused."""

from __future__ import annotations

import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.power import detectable_from_standard_error, minimum_detectable_difference


def test_it_scales_with_the_deviation() -> None:
    one = minimum_detectable_difference(1, 5)
    assert minimum_detectable_difference(0.02, 5) == pytest.approx(0.02 * one)
    assert minimum_detectable_difference(0.0, 5) == 0.0


def test_it_falls_with_runs_and_rises_with_demands() -> None:
    usual = minimum_detectable_difference(1, 5)
    assert minimum_detectable_difference(1, 5, 5) == usual
    assert minimum_detectable_difference(1, 10) < minimum_detectable_difference(1, 5, 10) < usual
    assert minimum_detectable_difference(1, 5, alpha=0.01) > usual
    assert minimum_detectable_difference(1, 5, power=0.9) > usual


def test_arms_may_be_swapped() -> None:
    assert minimum_detectable_difference(1, 3, 9) == minimum_detectable_difference(1, 9, 3)


def test_from_a_standard_error() -> None:
    assert detectable_from_standard_error(0.01) == pytest.approx(0.02802, abs=1e-5)
    assert detectable_from_standard_error(0.01, alpha=0.01, power=0.9) == pytest.approx(0.03857, abs=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"std": -1.0},
        {"std": float("nan")},
        {"std": float("inf")},
        {"n_a": 1},
        {"n_b": 1},
        {"alpha": 0.0},
        {"alpha": 0.8},
        {"power": 1.0},
    ],
)
def test_nonsense_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ShapeError, match="detectable difference: expected std >= 0, at least 2 runs"):
        minimum_detectable_difference(**{"std": 1.0, "n_a": 5, **arguments})
