"""The runs of one cell: one run, no spread, rounding, intervals that leave the range."""

from __future__ import annotations

import itertools

import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.summaries import same_number, sample_std, summarise_runs


def test_one_run_has_no_spread() -> None:
    found = summarise_runs([0.5])
    assert (found.n, found.std, found.low, found.high) == (1, None, None, None)
    assert (found.mean, found.minimum, found.maximum) == (0.5, 0.5, 0.5)
    assert not found.leaves(0.6, 1)


def test_equal_runs_have_an_interval_of_no_width() -> None:
    found = summarise_runs([0.3, 0.3, 0.3])
    assert (found.std, found.low, found.high) == (0.0, found.mean, found.mean)


def test_rounding_is_no_spread() -> None:
    assert sample_std([0.1 + 0.2, 0.3]) == 0.0
    assert sample_std([0.3, 0.3 + 1e-9]) == pytest.approx(1e-9 / 2**0.5, rel=1e-6)
    assert sample_std([]) is None


def test_same_numbers_are_so_at_any_scale() -> None:
    assert same_number(0.0, 0.0)
    assert same_number(1e9, 1e9 * (1 + 1e-13))
    assert not same_number(1e-9, 1.1e-9)
    assert not same_number(0.5, -0.5)


def test_the_order_of_runs_changes_no_digit() -> None:
    runs = [0.1, 0.7, 0.2, 0.30000001, 0.9999]
    assert len({summarise_runs(order) for order in itertools.permutations(runs)}) == 1


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
def test_what_is_no_result_is_refused(values: list[float]) -> None:
    with pytest.raises(ShapeError, match=r"runs: expected .* Leave .* out"):
        summarise_runs(values)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, float("nan")])
def test_a_level_is_a_share(confidence: float) -> None:
    with pytest.raises(ShapeError, match="confidence: expected a share between 0 and 1, got"):
        summarise_runs([0.5, 0.6], confidence)


def test_an_interval_may_leave_the_range() -> None:
    assert summarise_runs([0.99, 0.9, 1.0]).leaves(0, 1)
    assert summarise_runs([0.01, 0.1, 0.0]).leaves(0, 1)
    assert not summarise_runs([0.5, 0.51]).leaves(0, 1)


def test_a_higher_level_is_wider() -> None:
    wide, narrow = (summarise_runs([0.4, 0.5, 0.6], level) for level in (0.99, 0.9))
    assert wide.low < narrow.low < narrow.high < wide.high
