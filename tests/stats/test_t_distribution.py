"""The t distribution for single values is scipy's, to the last bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medtransfer.stats.t_distribution import t_above, t_below, t_quantile

freedoms = st.floats(0.1, 1e6)
values = st.floats(-1e6, 1e6)


@given(values, freedoms)
def test_tails(t: float, df: float) -> None:
    assert t_below(t, df) == stats.t.cdf(t, df)
    assert t_above(t, df) == stats.t.sf(t, df)


@given(st.floats(1e-6, 1 - 1e-6), freedoms)
def test_quantiles(share: float, df: float) -> None:
    assert t_quantile(share, df) == stats.t.ppf(share, df)
    assert -t_quantile(share, df) == stats.t.isf(share, df)
