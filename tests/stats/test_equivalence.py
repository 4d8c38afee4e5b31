"""Equivalence within a margin, against statsmodels and by the interval it is equal to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from medtransfer.core.errors import ShapeError
from medtransfer.stats.equivalence import equivalence_of_pairs, equivalence_of_runs

D = [0.002, -0.001, 0.003, 0, -0.002, 0.001, 0.004, -0.003, 0.002, 0.001]
runs = st.lists(st.floats(-1, 1).map(lambda value: round(value, 4)), min_size=2, max_size=9)


def test_the_reference_values() -> None:
    found = equivalence_of_pairs(D, 0.005)
    assert found.difference == pytest.approx(0.0007)
    assert (found.t_low, found.t_high) == (pytest.approx(8.142857143), pytest.approx(-6.142857143))
    assert found.p == pytest.approx(8.5091e-05, rel=1e-4)
    assert found.equivalent
    assert not equivalence_of_pairs(D, 0.001).equivalent


@given(a=runs, b=runs, margin=st.floats(0.01, 2))
def test_unpaired_runs_are_statsmodels_unequal_variance(
    a: list[float], b: list[float], margin: float
) -> None:
    found = equivalence_of_runs(a, b, margin)
    if found.p is None:
        assert len({*a}) == len({*b}) == 1
        return
    compared = CompareMeans(DescrStatsW(np.array(a)), DescrStatsW(np.array(b)))
    p, (low, high) = compared.ttost_ind(-margin, margin, usevar="unequal")
    assert found.p == pytest.approx(p, rel=1e-9, abs=1e-12)
    assert (found.t_low, found.t_high) == (pytest.approx(low[0], rel=1e-9), pytest.approx(high[0], rel=1e-9))
    assert found.low is not None
    assert found.high is not None
    if abs(found.p - found.alpha) > 1e-9:
        assert found.equivalent == (-margin < found.low and found.high < margin)


def test_one_run_or_no_variation_decides_nothing() -> None:
    for found in (
        equivalence_of_runs([0.8], [0.8, 0.81], 0.01),
        equivalence_of_runs([0.8, 0.8], [0.8, 0.8], 0.01),
        equivalence_of_pairs([0.0, 0.0], 0.01),
        equivalence_of_pairs([0.1], 0.01),
    ):
        assert (found.p, found.low, found.equivalent) == (None, None, False)


@pytest.mark.parametrize(("margin", "alpha"), [(0, 0.05), (-1, 0.05), (float("nan"), 0.05), (1, 0.6)])
def test_margins_and_levels_out_of_range_are_refused(margin: float, alpha: float) -> None:
    with pytest.raises(ShapeError, match="a positive margin and alpha"):
        equivalence_of_pairs(D, margin, alpha=alpha)
