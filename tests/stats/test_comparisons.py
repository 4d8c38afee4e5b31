"""Welch's comparison at its edges; its numbers are checked in tests/reference."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.stats.comparisons import Arm, welch, welch_from_summaries
from medtransfer.stats.power import minimum_detectable_difference


def test_every_fact_of_the_record_is_there() -> None:
    found = welch([0.8, 0.9, 0.85], [0.7, 0.75], confidence=0.9, alpha=0.01)
    assert (found.test, found.sidedness, found.unit) == ("Welch t", "two-sided", "runs")
    assert (found.paired, found.pair_shares) == (False, None)
    assert (found.n_a, found.n_b, found.confidence, found.alpha, found.power) == (3, 2, 0.9, 0.01, 0.8)
    assert (found.leader, found.flags, found.correction) == ("a", (), None)
    assert found.difference == pytest.approx(0.125)


def test_direction_decides_who_leads() -> None:
    assert welch([1.0, 1.1], [2.0, 2.2]).leader == "b"
    assert welch([1.0, 1.1], [2.0, 2.2], "lower").leader == "a"


def test_sides_mirror() -> None:
    a, b = [0.81, 0.83, 0.80], [0.78, 0.82, 0.77, 0.75]
    one, other = welch(a, b), welch(b, a)
    assert (other.p, other.difference) == pytest.approx((one.p, -one.difference))
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert welch(a, b, sidedness="greater").p == pytest.approx(welch(b, a, sidedness="less").p)
    assert one.minimum_detectable_effect == pytest.approx(other.minimum_detectable_effect)


def test_without_spread_there_is_no_p() -> None:
    found = welch([0.5, 0.5], [0.7, 0.7])
    assert (found.p, found.statistic, found.df, found.flags) == (None, None, None, ("zero_variance",))
    assert (found.low, found.high, found.minimum_detectable_effect) == (None, None, None)
    assert (found.relative_low, found.relative_high) == (None, None)
    assert found.difference == pytest.approx(-0.2)
    assert not found.significant()


def test_one_run_is_undetermined() -> None:
    found = welch([0.5], [0.7, 0.8])
    assert (found.p, found.low, found.flags) == (None, None, ("undetermined",))
    assert found.minimum_detectable_effect is None


def test_one_constant_arm_is_flagged_and_tested() -> None:
    found = welch([0.5, 0.5, 0.5], [0.7, 0.8, 0.75])
    assert found.flags == ("constant_arm",)
    assert found.p is not None
    assert found.df == pytest.approx(2.0)


def test_identical_runs_are_not_significant() -> None:
    found = welch([0.5, 0.6], [0.5, 0.6])
    assert found.p == 1.0
    assert found.leader is None


def test_no_number_is_ever_nan_or_infinite() -> None:
    arms = ([0.5], [0.5, 0.5], [0.0, 0.0], [0.0, 1.0], [0.5, 0.5 + 1e-13], [-0.5, 0.5001], [0.1, 0.9, 0.5])
    for a in arms:
        for b in arms:
            numbers = [value for value in astuple(welch(a, b)) if isinstance(value, float)]
            assert all(abs(value) < float("inf") for value in numbers), (a, b)


def test_a_relative_interval_beyond_any_number_is_null() -> None:
    found = welch([-0.5, 0.5001], [0.2, 0.3])
    assert found.relative_percent == pytest.approx(-99.98, abs=0.01)
    assert (found.relative_low, found.relative_high) == (None, None)


@pytest.mark.parametrize("a", [[-0.1, 0.0], [0.0, 0.0]])
def test_a_relative_difference_needs_positive_means(a: list[float]) -> None:
    assert welch(a, [0.2, 0.3]).relative_percent is None
    assert welch([0.2, 0.3], a).relative_percent is None


def test_the_detectable_difference_pools_the_spread() -> None:
    found = welch_from_summaries(Arm(3, 0.5, 0.02), Arm(5, 0.5, 0.04), alpha=0.01)
    pooled = ((2 * 0.02**2 + 4 * 0.04**2) / 6) ** 0.5
    assert found.minimum_detectable_effect == pytest.approx(
        minimum_detectable_difference(pooled, 3, 5, alpha=0.01)
    )


def test_unknown_words_and_levels_are_refused() -> None:
    with pytest.raises(UsageError, match="sidedness: expected 'two-sided', 'greater' or 'less', got 'both'"):
        welch([1, 2], [2, 3], sidedness="both")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="direction"):
        welch([1, 2], [2, 3], "up")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="confidence: expected a share"):
        welch([1, 2], [2, 3], confidence=95)
    with pytest.raises(ShapeError, match="alpha"):
        welch([1, 2], [2, 3], alpha=0.9)


@pytest.mark.parametrize("runs", [[], [0.5, float("nan")]])
def test_arms_without_results_are_refused(runs: list[float]) -> None:
    with pytest.raises(ShapeError, match="runs: expected"):
        welch(runs, [0.5, 0.6])


@pytest.mark.parametrize(
    ("n", "mean", "std"),
    [
        (0, 0.5, None),
        (1, 0.5, 0.1),
        (2, 0.5, None),
        (2, float("nan"), 0.1),
        (2, 0.5, float("nan")),
        (2, 0.5, float("inf")),
        (2, 0.5, -0.1),
    ],
)
def test_a_published_cell_needs_all_its_numbers(n: int, mean: float, std: float | None) -> None:
    with pytest.raises(ShapeError, match=r"arm: expected .* unknown number of runs cannot be tested"):
        Arm(n, mean, std)
