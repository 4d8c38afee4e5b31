"""Exact tests for few runs, against scipy, enumeration and the reference values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.exact_tests import corrected_resampled_t, rank_sum, sign_flip, signed_rank

A, B = [0.81, 0.83, 0.80, 0.84, 0.82], [0.78, 0.82, 0.77, 0.80, 0.79]
RADNET, IMAGENET = [0.94456, 0.93572, 0.93280, 0.93312], [0.93852, 0.93108, 0.94704, 0.92500]
DIFFERENCES = [a - b for a, b in zip(A, B, strict=True)]


def test_the_reference_values() -> None:
    assert sign_flip(DIFFERENCES).p == 0.0625
    ranked = signed_rank(DIFFERENCES, 6)
    assert (ranked.statistic, ranked.p, ranked.floor) == (0.0, 0.0625, 0.0625)
    assert not ranked.can_be_significant()
    assert rank_sum(RADNET, IMAGENET).p == pytest.approx(0.885714, abs=1e-6)
    assert rank_sum(RADNET, IMAGENET).floor == pytest.approx(2 / 70)
    t, p = corrected_resampled_t(DIFFERENCES, 0.25) or (0, 0)
    assert (t, p) == (pytest.approx(3.810317378), pytest.approx(0.018934978, rel=1e-7))


@settings(deadline=None)
@given(st.lists(st.integers(-9, 9).map(lambda value: value / 8), min_size=1, max_size=9))
def test_sign_flips_are_counted_one_by_one(values: list[float]) -> None:
    patterns = itertools.product((1, -1), repeat=len(values))
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) for signs in patterns]
    assert sign_flip(values).p == np.mean(np.array(sums) >= abs(sum(values)) - 1e-9)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=12, unique=True), st.integers(0, 2**12 - 1))
def test_signed_ranks_without_ties_are_scipys(sizes: list[int], signs: int) -> None:
    values = [size if signs >> place & 1 else -size for place, size in enumerate(sizes)]
    expected = stats.wilcoxon(values, method="exact")
    found = signed_rank(values, 3)
    assert (found.statistic, found.p) == (expected.statistic, pytest.approx(expected.pvalue))


def test_rounding_comes_before_the_ranks() -> None:
    noisy = [0.1 + 0.2 - 0.25, 0.05, -0.05 + 1e-17, 0.0]
    assert signed_rank(noisy, 6) == signed_rank([0.05, 0.05, -0.05], 6)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5), st.lists(st.integers(0, 5), min_size=1, max_size=5)
)
def test_rank_sums_count_all_divisions_ties_included(a: list[int], b: list[int]) -> None:
    def u(first: list[int], second: list[int]) -> float:
        return sum((x > y) + 0.5 * (x == y) for x in first for y in second)

    pooled = [*a, *b]
    every = []
    for chosen in itertools.combinations(range(len(pooled)), len(a)):
        first = [pooled[place] for place in chosen]
        every.append(u(first, [value for place, value in enumerate(pooled) if place not in chosen]))
    observed = u(a, b)
    less, greater = np.mean(np.array(every) <= observed), np.mean(np.array(every) >= observed)
    assert rank_sum(a, b).p == pytest.approx(min(1.0, 2 * min(less, greater)))
    assert rank_sum(a, b).statistic == observed


def test_a_floor_above_the_level_is_said_aloud() -> None:
    assert sign_flip([0.1] * 6).can_be_significant()
    assert not sign_flip([0.1] * 5).can_be_significant()


def test_what_cannot_be_tested_is_refused() -> None:
    for act in (
        lambda: sign_flip([]),
        lambda: sign_flip([float("nan")]),
        lambda: sign_flip([1.0] * 21),
        lambda: signed_rank([0.0, 0.0], 3),
        lambda: rank_sum([1.0] * 12, [2.0] * 12),
        lambda: corrected_resampled_t([1.0], 0.25),
        lambda: corrected_resampled_t([1.0, 2.0], 0),
    ):
        with pytest.raises(ShapeError):
            act()
    assert corrected_resampled_t([0.1, 0.1], 0.25) is None
