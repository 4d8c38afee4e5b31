"""Two models over draws of the same patients."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.patients import smallest_p
from medtransfer.stats.power import detectable_from_standard_error

SHARED = np.random.default_rng(1).normal(0, 0.1, 2000)
LINE = np.linspace(0.5, 0.9, 100)


def test_pairs_share_their_draws() -> None:
    found = compare_by_cases(0.8, 0.75, 0.8 + SHARED, 0.75 + SHARED, patients=40)
    assert found.p == pytest.approx(smallest_p(2000))
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))
    assert (found.paired, found.unit, found.pair_shares) == (True, "patients", "the patients of each draw")
    assert (found.n_a, found.n_b, found.leader) == (40, 40, "a")


def test_interval_and_detectable_difference_are_those_of_the_differences() -> None:
    other = 0.7 + SHARED + np.random.default_rng(2).normal(0, 0.02, 2000)
    found = compare_by_cases(0.8, 0.7, 0.8 + SHARED, other, patients=40, confidence=0.9, alpha=0.01)
    differences = 0.8 + SHARED - other
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, [0.05, 0.95])))
    assert found.minimum_detectable_effect == pytest.approx(
        detectable_from_standard_error(differences.std(ddof=1), alpha=0.01)
    )
    ratios = ((0.8 + SHARED) / other - 1) * 100
    assert found.relative_percent == pytest.approx((0.8 / 0.7 - 1) * 100)
    assert (found.relative_low, found.relative_high) == pytest.approx(
        tuple(np.quantile(ratios, [0.05, 0.95]))
    )


def test_one_model_twice_is_not_significant() -> None:
    found = compare_by_cases(0.7, 0.7, LINE, LINE, patients=40)
    assert (found.p, found.leader, found.minimum_detectable_effect) == (1.0, None, None)


def test_lower_may_be_better() -> None:
    assert compare_by_cases(0.8, 0.7, LINE, LINE, "lower", patients=40).leader == "b"


def test_too_many_undefined_draws_give_no_p() -> None:
    holes = np.where(np.arange(100) < 6, np.nan, LINE)
    for a, b in ((holes, LINE), (LINE, holes)):
        found = compare_by_cases(0.7, 0.6, a, b, patients=40)
        assert (found.p, found.flags) == (None, ("undetermined", "too_many_undefined_draws"))
        assert (found.low, found.high, found.relative_low) == (None, None, None)
        assert found.difference == pytest.approx(0.1)


def test_holes_of_the_two_models_add_up() -> None:
    numbers = np.arange(100)
    a, b = np.where(numbers < 3, np.nan, LINE), np.where(numbers >= 97, np.nan, LINE)
    assert compare_by_cases(0.7, 0.6, a, b, patients=40).p is None
    assert compare_by_cases(0.7, 0.6, a, LINE - 0.1, patients=40).p == pytest.approx(2 / 98)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_few_undefined_draws_leave_the_interval(side: str) -> None:
    draws = {"a": LINE + 0.1, "b": LINE**2}
    draws[side] = np.where(np.arange(100) < 3, np.nan, draws[side])
    found = compare_by_cases(0.8, 0.5, draws["a"], draws["b"], patients=40)
    expected = np.quantile((LINE + 0.1 - LINE**2)[3:], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.minimum_detectable_effect is not None
    assert found.relative_low is not None


def test_two_patients_are_enough_for_a_p() -> None:
    assert compare_by_cases(0.7, 0.6, LINE, LINE, patients=2).p == 1.0


def test_one_patient_gives_no_p() -> None:
    found = compare_by_cases(0.7, 0.6, LINE, LINE, patients=1)
    assert (found.p, found.low, found.flags) == (None, None, ("undetermined",))


def test_a_draw_at_zero_leaves_no_relative_interval() -> None:
    touching = LINE - 0.5
    found = compare_by_cases(0.7, 0.2, LINE, touching, patients=40)
    assert found.relative_percent == pytest.approx(250)
    assert (found.relative_low, found.relative_high) == (None, None)
    assert compare_by_cases(0.7, 0.0, LINE, touching, patients=40).relative_percent is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"same draws for both models, got 0.7 and 0.6 with 100 and 50 draws"
    ):
        compare_by_cases(0.7, 0.6, LINE, LINE[:50], patients=40)
    with pytest.raises(ShapeError, match="expected finite points"):
        compare_by_cases(float("nan"), 0.6, LINE, LINE, patients=40)
    with pytest.raises(ShapeError, match="confidence"):
        compare_by_cases(0.7, 0.6, LINE, LINE, patients=40, confidence=95)
