"""A store of schema 1 becomes one of today in one transaction, whoever opens it and however often."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from medtransfer.core.errors import StoreError
from medtransfer.store import migrations
from medtransfer.store.imported_rows import ImportedRow
from medtransfer.store.schema import SCHEMA_VERSION
from medtransfer.store.store import Store
from medtransfer.store.trial_costs import MeasuredCost

ROW = ImportedRow("kind", {"a": 1}, {"b": 2.5})


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as schema 1 wrote it, made by SQL alone."""
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file)
    connection.executescript((Path(__file__).parent / "schema-1.sql").read_text())
    connection.close()
    return file


def state(file: Path) -> tuple[list[tuple[int]], list[tuple[str]], list[tuple[object, ...]]]:
    connection = sqlite3.connect(file)
    found = (
        connection.execute("SELECT version FROM medtransfer_schema").fetchall(),
        connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall(),
        connection.execute("SELECT * FROM trials ORDER BY fingerprint").fetchall(),
    )
    connection.close()
    return found


@pytest.mark.parametrize("create", [True, False])
def test_an_old_store_is_upgraded_when_it_is_opened(old: Path, create: bool) -> None:
    before = state(old)
    with Store.open(old, create=create) as store:
        assert store.studies() == ["first"]
        assert store.imported("kind") == ()
        store.add_imported([ROW])
        assert [row.content for row in store.imported("kind")] == [{"b": 2.5}]
    after = state(old)
    assert before[0] == [(1,)]
    assert after[0] == [(SCHEMA_VERSION,)]
    assert set(after[1]) - set(before[1]) == {("imported",), ("trial_costs",), ("trial_memory",)}
    assert after[2] == before[2]


def test_an_upgraded_store_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def tables(file: Path) -> list[tuple[str, str]]:
        connection = sqlite3.connect(file)
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        rows = connection.execute(query).fetchall()
        connection.close()
        return [(name, " ".join(text.split())) for name, text in rows]

    Store.open(old).close()
    Store.open(tmp_path / "new.db").close()
    assert tables(old) == tables(tmp_path / "new.db")


def test_costs_from_before_memory_was_measured_stay_and_say_so(tmp_path: Path) -> None:
    file = tmp_path / "third.db"
    connection = sqlite3.connect(file)
    connection.executescript((Path(__file__).parent / "schema-3.sql").read_text())
    connection.execute("UPDATE trial_costs SET cpu_s = 7.5")
    connection.commit()
    connection.close()
    with Store.open(file, create=False) as store:
        done, *_ = store.records("first")
        (cost,) = store.costs([done.description]).values()
    assert cost == MeasuredCost(1, 7.5, None)


def test_memory_of_schema_4_is_read(tmp_path: Path) -> None:
    file = tmp_path / "fourth.db"
    connection = sqlite3.connect(file)
    connection.executescript((Path(__file__).parent / "schema-4.sql").read_text())
    connection.close()
    with Store.open(file, create=False) as store:
        done, *_ = store.records("first")
        assert list(store.costs([done.description]).values()) == [MeasuredCost(1, 0.0, 812_345_344)]


def test_many_open_an_old_store_at_once(old: Path) -> None:
    def open_and_read(number: int) -> int:
        with Store.open(old, create=False) as store:
            store.add_imported([ImportedRow("kind", {"number": number}, {})])
            return store.counts().total

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_and_read, range(6))) == [3] * 6
    with Store.open(old) as store:
        assert len(store.imported("kind")) == 6
    assert state(old)[0] == [(SCHEMA_VERSION,)]


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(old)
    broken = sa.Table("imported", sa.MetaData(), sa.Column("kind", sa.Text, primary_key=True))
    sa.Index("imported_latest", broken.c.kind, sqlite_where=sa.text("no_such_column = 1"))
    monkeypatch.setattr(migrations, "_NEW_TABLES", {2: (broken,)})
    monkeypatch.setattr(migrations, "metadata", broken.metadata)
    with pytest.raises(StoreError, match="expected a working database"):
        Store.open(old)
    assert state(old) == before


def test_a_schema_that_never_was_is_refused_untouched(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("UPDATE medtransfer_schema SET version = 0")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=f"expected schema {SCHEMA_VERSION}, got 0; nothing was changed"):
        Store.open(old)
    assert state(old)[0] == [(0,)]
