"""JSON columns keep floats exactly and name what cannot be stored."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.store.records import TrialDescription
from medtransfer.store.rows import description_row, storable, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\udc80\udcff"))
"""Any text, with the lone surrogates that stand for undecodable bytes in file names."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(TEXT, parts, max_size=4),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_every_value_comes_back_and_the_text_is_ascii(value: object) -> None:
    text = to_json(value)
    assert text.isascii()
    assert "\x00" not in text
    assert repr(json.loads(text)) == repr(value)


@given(TEXT)
def test_storable_text_is_utf8_without_nul_and_plain_text_stays(text: str) -> None:
    stored = storable(text)
    stored.encode("utf-8")
    assert "\x00" not in stored
    assert storable(stored) == stored


def test_text_is_escaped_visibly() -> None:
    assert storable("café \x00 \ud800") == "café \\x00 \\ud800"


def test_frozen_mappings_and_tuples_are_json() -> None:
    assert to_json(MappingProxyType({"b": (1, 2), "a": {}})) == '{"b": [1, 2], "a": {}}'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [0, {"b": float("nan")}]}, r"^a\[1\]\.b: expected a finite number"),
        ({"a": MappingProxyType({"b": (float("-inf"),)})}, r"^a\.b\[0\]: expected a finite number"),
    ],
)
def test_numbers_that_are_not_finite_are_named(value: object, place: str) -> None:
    with pytest.raises(ValueError, match=place):
        to_json(value)


def test_values_that_are_not_json_are_refused() -> None:
    with pytest.raises(TypeError, match="expected a JSON value, got set"):
        to_json({"a": {1}})


def test_a_label_fraction_is_a_number_of_its_own_column() -> None:
    row = description_row(TrialDescription("f", "t", "m", "p", {}, 1, 3, ()))
    assert (row["label_fraction"], row["repetition"]) == (1.0, 3)
    assert isinstance(row["label_fraction"], float)
