"""Two models over draws of the same patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.patients import smallest_p
from medtransfer.stats.power import detectable_from_standard_error

SHARED = np.random.default_rng(1).normal(0, 0.1, 2000)
LINE = np.linspace(0.5, 0.9, 100)


def stretched(draws: np.ndarray, point: float, df: float, confidence: float) -> tuple[float, float]:
    level = (1 + confidence) / 2
    factor = stats.t.ppf(level, df) / stats.norm.ppf(level)
    low, high = (point + factor * (end - point) for end in np.quantile(draws, [1 - level, level]))
    return low, high


def test_pairs_share_their_draws() -> None:
    found = compare_by_cases(0.8, 0.75, 0.8 + SHARED, 0.75 + SHARED, patients=40)
    assert found.p == pytest.approx(smallest_p(2000, 40))
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))
    assert (found.paired, found.unit, found.pair_shares) == (True, "patients", "the patients of each draw")
    assert (found.n_a, found.n_b, found.leader) == (40, 40, "a")


def test_interval_and_detectable_difference_are_those_of_the_differences() -> None:
    other = 0.7 + SHARED + np.random.default_rng(2).normal(0, 0.02, 2000)
    found = compare_by_cases(0.8, 0.7, 0.8 + SHARED, other, patients=40, confidence=0.9, alpha=0.01)
    differences = 0.8 + SHARED - other
    assert (found.low, found.high) == pytest.approx(stretched(differences, 0.1, 39, 0.9))
    assert found.minimum_detectable_effect == pytest.approx(
        detectable_from_standard_error(differences.std(ddof=1), alpha=0.01)
    )
    logs = stretched(np.log((0.8 + SHARED) / other), np.log(0.8 / 0.7), 39, 0.9)
    assert found.relative_percent == pytest.approx((0.8 / 0.7 - 1) * 100)
    expected = tuple(100 * (np.exp(end) - 1) for end in logs)
    assert (found.relative_low, found.relative_high) == pytest.approx(expected)


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
    expected = stretched((LINE + 0.1 - LINE**2)[3:], 0.3, 39, 0.95)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.minimum_detectable_effect is not None
    assert found.relative_low is not None


def test_two_patients_are_enough_for_a_p() -> None:
    assert compare_by_cases(0.7, 0.7, LINE, LINE, patients=2).p == 1.0


@pytest.mark.parametrize(("confidence", "patients"), [(0.95, 6), (0.99, 8)])
def test_too_few_patients_for_the_level_leave_a_p_and_no_interval(confidence: float, patients: int) -> None:
    """An interval without 0 beside a p that so few patients keep above its error rate would contradict it."""
    few = compare_by_cases(0.8, 0.7, LINE + 0.1, LINE, patients=patients - 1, confidence=confidence)
    assert few.p == max(2 / 101, 2 ** (2 - patients)) > 1 - confidence
    assert (few.low, few.high, few.relative_low, few.relative_high) == (None, None, None, None)
    assert (few.flags, few.difference) == ((), pytest.approx(0.1))
    enough = compare_by_cases(0.8, 0.7, LINE + 0.1, LINE, patients=patients, confidence=confidence)
    assert (enough.p, enough.low) == (max(2 / 101, 2 ** (1 - patients)), pytest.approx(0.1))


@pytest.mark.parametrize("patients", [6, 9, 40])
@pytest.mark.parametrize("df", [None, 2.5])
def test_the_interval_leaves_zero_out_where_p_is_below_its_level(patients: int, df: float | None) -> None:
    draw = np.random.default_rng(4)
    kept = 0
    for _ in range(200):
        values = draw.normal(draw.uniform(0, 1.5), 1, patients) + draw.exponential(0.5, patients)
        weights = draw.multinomial(patients, np.full(patients, 1 / patients), 999) / patients
        found = compare_by_cases(
            1 + values.mean(), 1.0, 1 + weights @ values, np.ones(999), patients=patients, df=df
        )
        assert found.p is not None
        assert found.low is not None
        assert found.high is not None
        if abs(found.p - 0.05) > 4 / 1000:  # ranks and quantiles differ by up to one draw on either side
            kept += 1
            assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert kept > 150


def test_the_interval_of_the_relative_difference_turns_with_the_models() -> None:
    other = LINE[::-1] + 0.1
    one, back = (
        compare_by_cases(*points, *draws, patients=7)
        for points, draws in (((0.7, 0.8), (LINE, other)), ((0.8, 0.7), (other, LINE)))
    )
    assert one.relative_low is not None
    assert one.relative_high is not None
    assert (1 + one.relative_low / 100) * (1 + (back.relative_high or 0) / 100) == pytest.approx(1)
    assert (1 + one.relative_high / 100) * (1 + (back.relative_low or 0) / 100) == pytest.approx(1)


def test_a_ratio_beyond_numbers_has_no_interval() -> None:
    tiny = np.where(np.arange(100) % 2, 1e-300, LINE)
    found = compare_by_cases(0.7, 0.7, LINE, tiny, patients=40, df=1)
    assert found.low is not None
    assert (found.relative_low, found.relative_high) == (None, None)


def test_one_patient_gives_no_p() -> None:
    found = compare_by_cases(0.7, 0.6, LINE, LINE, patients=1)
    assert (found.p, found.low, found.flags) == (None, None, ("undetermined",))


def test_a_draw_at_zero_leaves_no_relative_interval() -> None:
    touching = LINE - 0.5
    found = compare_by_cases(0.7, 0.2, LINE, touching, patients=40)
    assert found.relative_percent == pytest.approx(250)
    assert (found.relative_low, found.relative_high) == (None, None)
    back = compare_by_cases(0.2, 0.7, touching, LINE, patients=40)
    assert (back.relative_percent, back.relative_low) == (pytest.approx(-500 / 7), None)
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
