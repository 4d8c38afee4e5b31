"""The correlated Bayesian t-test against its own simulation, limits, and baycomp."""

from __future__ import annotations

import numpy as np
import pytest
from baycomp import CorrelatedTTest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.core.errors import ShapeError
from medtransfer.stats.bayesian import posterior_chances
from medtransfer.stats.exact_tests import corrected_resampled_t


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=2, max_size=12),
    st.sampled_from([0.01, 0.05, 0.5]),
)
def test_the_chances_are_those_of_baycomp(pairs: list[tuple[int, int]], margin: float) -> None:
    """Its scores are k folds of one run, whose test share is 1 / (k - 1); its first chance is A's."""
    a, b = (np.array([pair[side] / 100 for pair in pairs]) for side in (0, 1))
    found = posterior_chances((a - b).tolist(), margin, test_share=1 / (len(a) - 1))
    if found is None:
        assert np.ptp(a - b) < 1e-12
        return
    expected = CorrelatedTTest(a, b, rope=margin, runs=1).probs()
    assert (found.a_higher, found.within, found.b_higher) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9), st.floats(0, 0.3), st.floats(0, 1))
def test_chances_add_up_and_sides_mirror(values: list[int], margin: float, share: float) -> None:
    differences = [value / 100 for value in values]
    found = posterior_chances(differences, margin, test_share=share)
    back = posterior_chances([-value for value in differences], margin, test_share=share)
    if found is None or back is None:
        assert len(set(values)) == 1
        return
    assert found.a_higher + found.within + found.b_higher == pytest.approx(1)
    assert (found.a_higher, found.within) == (pytest.approx(back.b_higher), pytest.approx(back.within))


def test_without_a_margin_it_is_the_one_sided_corrected_t() -> None:
    differences = [0.03, 0.01, 0.03, 0.04, 0.03]
    found = posterior_chances(differences, 0.0, test_share=0.25)
    tested = corrected_resampled_t(differences, 0.25)
    assert found is not None
    assert tested is not None
    assert found.b_higher == pytest.approx(tested[1] / 2)
    assert found.within == pytest.approx(0, abs=1e-12)


def test_without_spread_there_are_no_chances_and_nonsense_is_refused() -> None:
    assert posterior_chances([0.1, 0.1], 0.01, test_share=0.25) is None
    for arguments in (([0.1], 0.01, 0.25), ([0.1, 0.2], -0.01, 0.25), ([0.1, 0.2], 0.01, float("inf"))):
        with pytest.raises(ShapeError, match="two differences at least"):
            posterior_chances(arguments[0], arguments[1], test_share=arguments[2])
