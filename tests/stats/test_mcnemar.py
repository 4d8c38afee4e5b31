"""McNemar's test against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels

from medtransfer.core.errors import ShapeError
from medtransfer.stats.mcnemar import mcnemar, mcnemar_of_cases


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 20), st.integers(0, 20))
def test_both_p_values_are_those_of_statsmodels(only_a: int, only_b: int, both: int, neither: int) -> None:
    table = [[both, only_a], [only_b, neither]]
    found = mcnemar(only_a, only_b)
    if not only_a + only_b:
        assert (found.p, found.chi_square, found.floor) == (1.0, None, 1.0)
        return
    assert found.p == pytest.approx(of_statsmodels(table, exact=True).pvalue, rel=1e-9)
    if only_a != only_b:  # statsmodels lets the correction turn a difference of 0 into 1
        expected = of_statsmodels(table, exact=False, correction=True)
        assert (found.chi_square, found.chi_square_p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.p >= found.floor * (1 - 1e-12)
    assert mcnemar(only_b, only_a).p == found.p


def test_cases_are_counted_by_who_is_right() -> None:
    a, b = np.array([1, 1, 1, 0, 0, 1]), np.array([1, 0, 0, 1, 0, 0])
    found = mcnemar_of_cases(a, b)
    assert (found.only_a, found.only_b) == (3, 1)
    assert found == mcnemar(3, 1)


def test_a_floor_is_reached_when_one_side_has_all() -> None:
    assert mcnemar(5, 0).p == mcnemar(5, 0).floor == 0.0625


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 0, got -1 and 3"):
        mcnemar(-1, 3)
    with pytest.raises(ShapeError, match="same cases for both"):
        mcnemar_of_cases([True], [True, False])
