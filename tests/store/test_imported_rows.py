"""Rows of other people in a store: exact, all or nothing, each key once."""

from __future__ import annotations

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.store.imported_rows import ImportCounts, ImportedRow
from medtransfer.store.store import Store

FOREIGN = "données 胸部 \ud800 \u2028 </script> '; drop table imported; --"


def row(name: object, value: object = 1.0, **more: object) -> ImportedRow:
    return ImportedRow("kind", {"name": name}, {"value": value}, origin=f"file, row {name}", **more)


def test_any_text_and_every_float_come_back_exactly(store: Store) -> None:
    values = [0.1 + 0.2, 5e-324, 1e22, -0.0, 12034617]
    rows = [row(FOREIGN, values), row("b", {"nested": [None, True]}, facts={"text": FOREIGN})]
    store.add_imported(rows)
    first, second = store.imported("kind")
    assert first.key == {"name": FOREIGN}
    assert list(map(repr, first.content["value"])) == list(map(repr, values))
    assert (second.content, second.facts) == (rows[1].content, rows[1].facts)
    assert (first.revision, first.origin) == (1, f"file, row {FOREIGN}")
    assert first.imported_at is not None
    assert store.verify() == []


def test_rows_keep_the_order_of_their_import_and_kinds_stay_apart(store: Store) -> None:
    store.add_imported([row(name) for name in "cab"])
    store.add_imported([row("0"), ImportedRow("other", {"name": "c"}, {"value": 2.0})])
    assert [found.key["name"] for found in store.imported("kind")] == ["c", "a", "b", "0"]
    assert [found.content["value"] for found in store.imported("other")] == [2.0]
    assert store.imported("absent") == ()


def test_the_order_of_keys_in_a_mapping_is_no_difference(store: Store) -> None:
    store.add_imported([ImportedRow("kind", {"a": 1, "b": 2}, {"x": 1.0, "y": 2.0})])
    again = ImportedRow("kind", {"b": 2, "a": 1}, {"y": 2.0, "x": 1.0})
    assert store.add_imported([again]) == ImportCounts(0, 1, 0)


def test_a_key_that_comes_twice_in_one_import_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="file, row a: expected each key once"):
        store.add_imported([row("b"), row("a"), row("a", 2.0)])
    assert store.imported("kind") == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_value_without_a_json_form_is_refused_and_named(store: Store, value: object) -> None:
    with pytest.raises(UsageError, match="file, row b"):
        store.add_imported([row("a"), row("b", value)])
    assert store.imported("kind") == ()


def test_contradictions_are_listed_and_cut(store: Store) -> None:
    store.add_imported([row(number) for number in range(8)])
    with pytest.raises(UsageError, match="got another in 8 of them") as caught:
        store.add_imported([row("new"), *(row(number, 2.0) for number in range(8))])
    assert str(caught.value).count("value 1.0 became 2.0") == 5
    assert str(caught.value).endswith("and 3 more")
    assert len(store.imported("kind")) == 8


def test_revisions_count_up_and_only_the_latest_is_read(store: Store) -> None:
    for value in (1.0, 2.0, 1.0):
        store.add_imported([row("a", value), row("b")], revise=True)
    assert [
        (found.key["name"], found.revision, found.content["value"]) for found in store.imported("kind")
    ] == [
        ("b", 1, 1.0),
        ("a", 3, 1.0),
    ]
    with store._database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM imported").scalar()
    assert kept == 4


def test_later_facts_are_added_and_earlier_ones_stay(store: Store) -> None:
    store.add_imported([row("a", facts={"first": 1})])
    assert store.add_imported([row("a", facts={"first": 9, "second": 2})]) == ImportCounts(0, 1, 0)
    (found,) = store.imported("kind")
    assert found.facts == {"first": 1, "second": 2}
    assert found.revision == 1


def test_an_empty_import_is_nothing(store: Store) -> None:
    assert store.add_imported([]) == ImportCounts(0, 0, 0)
