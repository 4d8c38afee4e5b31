"""Student's t against scipy: pairs, published cells, and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.stats.comparisons import Arm
from medtransfer.stats.power import minimum_detectable_paired_difference
from medtransfer.stats.student import paired_t, pooled_t_from_summaries

PAIRS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=9)


@settings(deadline=None, max_examples=60)
@given(PAIRS, st.sampled_from(["two-sided", "greater", "less"]))
def test_pairs_are_scipys(pairs: list[tuple[int, int]], sidedness: str) -> None:
    a, b = ([pair[side] / 64 for pair in pairs] for side in (0, 1))
    found = paired_t(a, b, "seed", sidedness=sidedness)  # type: ignore[arg-type]
    if len({x - y for x, y in pairs}) == 1:
        assert (found.p, found.statistic, found.flags) == (None, None, ("zero_variance",))
        return
    expected = stats.ttest_rel(a, b, alternative=sidedness)
    assert (found.statistic, found.p) == (
        pytest.approx(expected.statistic, rel=1e-8, abs=1e-10),
        pytest.approx(expected.pvalue, rel=1e-8, abs=1e-12),
    )
    low, high = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-8, abs=1e-10)


def test_the_record_says_what_a_pair_shares() -> None:
    found = paired_t([0.8, 0.9], [0.7, 0.75], "split and order", "lower", alpha=0.01)
    assert (found.test, found.paired, found.pair_shares, found.leader) == (
        "paired t",
        True,
        "split and order",
        "b",
    )
    spread = float(np.std([0.1, 0.15], ddof=1))
    assert found.minimum_detectable_effect == pytest.approx(
        minimum_detectable_paired_difference(spread, 2, alpha=0.01)
    )
    assert found.relative_percent == pytest.approx((0.85 / 0.725 - 1) * 100)


def test_rounding_is_no_spread_of_differences() -> None:
    found = paired_t([0.1 + 0.2, 0.5, 0.7], [0.2, 0.4, 0.6], "seed")
    assert (found.p, found.flags, found.minimum_detectable_effect) == (None, ("zero_variance",), None)
    assert paired_t([0.5], [0.4], "seed").flags == ("undetermined",)


def test_what_is_no_set_of_pairs_is_refused() -> None:
    with pytest.raises(ShapeError, match="as many runs of both, got 2 and 3"):
        paired_t([1, 2], [1, 2, 3], "seed")
    with pytest.raises(UsageError, match="what the pairs share"):
        paired_t([1, 2], [1, 3], " ")
    with pytest.raises(UsageError, match="known sidedness"):
        paired_t([1, 2], [1, 3], "seed", sidedness="both")  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 9),
    st.integers(2, 9),
    st.floats(0.5, 0.9),
    st.floats(0.5, 0.9),
    st.floats(1e-3, 0.2),
    st.floats(0, 0.2),
)
def test_published_cells_are_scipys(
    n_a: int, n_b: int, mean_a: float, mean_b: float, std_a: float, std_b: float
) -> None:
    found = pooled_t_from_summaries(Arm(n_a, mean_a, std_a), Arm(n_b, mean_b, std_b))
    expected = stats.ttest_ind_from_stats(mean_a, std_a, n_a, mean_b, std_b, n_b, equal_var=True)
    assert (found.t, found.p) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)
    assert found.df == n_a + n_b - 2


def test_cells_without_spread_are_not_tested() -> None:
    for a, b in ((Arm(1, 0.8, None), Arm(3, 0.7, 0.1)), (Arm(3, 0.8, 0.0), Arm(3, 0.7, 0.0))):
        assert pooled_t_from_summaries(a, b).p is None
