"""Adjusted p-values at their edges; their numbers are checked in tests/reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.core.errors import ShapeError
from medtransfer.stats.corrections import benjamini_hochberg, holm

both = pytest.mark.parametrize("correct", [holm, benjamini_hochberg])


@both
def test_null_leaves_the_family_and_is_counted(correct) -> None:
    found = correct([0.01, None, 0.04])
    assert found.values[1] is None
    assert (found.tests, found.without_p) == (2, 1)
    assert [found.values[0], found.values[2]] == list(correct([0.01, 0.04]).values)


@both
def test_no_tests_and_one(correct) -> None:
    assert (correct([]).values, correct([]).tests) == ((), 0)
    assert correct([None, None]).values == (None, None)
    assert correct([0.03]).values == (0.03,)


def test_the_method_is_named() -> None:
    assert (holm([0.1]).method, benjamini_hochberg([0.1]).method) == ("Holm", "Benjamini-Hochberg")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_tests_does_not_matter_and_no_p_falls(p_values: list[float], order) -> None:
    for correct in (holm, benjamini_hochberg):
        adjusted = dict(zip(p_values, correct(p_values).values, strict=True))
        assert all(p <= adjusted[p] <= 1 for p in p_values)
        mixed = order.sample(p_values, len(p_values))
        assert correct(mixed).values == tuple(adjusted[p] for p in mixed)


@both
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(correct, p: float) -> None:
    with pytest.raises(ShapeError, match=r"p-values: expected numbers in \[0, 1\] or null, got \[0.5, "):
        correct([0.5, p])
