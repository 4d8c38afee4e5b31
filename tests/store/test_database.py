"""The database under a store: settings, clock, schema, processes, plans of the frequent queries."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from medtransfer.core.errors import StoreError, UsageError
from medtransfer.store.records import Counts, State, TrialDescription
from medtransfer.store.schema import SCHEMA_VERSION
from medtransfer.store.store import Store

Describe = Callable[[str], TrialDescription]
LEASE_S = 600.0


def pragma(store: Store, name: str) -> object:
    with store._database.reading() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_sqlite_is_set_up_for_several_writers_and_sudden_ends(store: Store) -> None:
    settings = {
        name: pragma(store, name) for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
    }
    assert settings == {"journal_mode": "wal", "busy_timeout": 60_000, "foreign_keys": 1, "synchronous": 2}


def test_a_write_holds_the_lock_from_its_start_and_readers_go_on(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store" / "medtransfer.db", timeout=0, isolation_level=None)
    with store._database.writing():
        assert other.execute("SELECT count(*) FROM trials").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_an_error_in_a_write_takes_all_of_it_back(store: Store, describe: Describe) -> None:
    store.submit("study", [describe("a")])

    def write_twice() -> None:
        with store._database.writing() as connection:
            connection.exec_driver_sql("UPDATE trials SET attempts = 5")
            connection.exec_driver_sql("UPDATE trials SET epoch = NULL")

    with pytest.raises(StoreError, match="NOT NULL"):
        write_twice()
    assert store.records()[0].attempts == 0


@pytest.fixture
def closed(tmp_path: Path, describe: Describe, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that was closed cleanly in a folder that cannot be written, its name full of signs."""
    folder = tmp_path / "störe ?a#b%20c"
    with Store.open(folder) as store:
        store.submit("study", [describe("a")])
    allowed = os.access

    def access(path: Path, mode: int) -> bool:
        return not (mode == os.W_OK and Path(path) == folder) and allowed(path, mode)

    monkeypatch.setattr(os, "access", access)
    return folder


def test_a_closed_store_that_cannot_be_written_is_read_without_files_beside_it(closed: Path) -> None:
    there = sorted(closed.iterdir())
    with Store.open(closed, create=False) as store:
        (record,) = store.records("study")
        assert record.description.fingerprint == "a"
        assert store.counts().pending == 1
        assert sorted(closed.iterdir()) == there, "no log was opened"
        with pytest.raises(StoreError, match=r"readonly database.*Make the file and its folder writable"):
            store.submit("other", [])
    assert sorted(closed.iterdir()) == there


def test_a_log_that_is_there_is_read(closed: Path, describe: Describe) -> None:
    with Store.open(closed) as other:
        other.submit("study", [describe("a"), describe("b")])
        with Store.open(closed, create=False) as store:
            assert store.counts().pending == 2


def test_a_change_of_a_store_read_as_unchangeable_is_noticed(closed: Path, describe: Describe) -> None:
    with Store.open(closed, create=False) as store:
        with Store.open(closed) as other:
            other.submit("study", [describe("a"), describe("b")])
        with pytest.raises(StoreError, match="got a change while it was read"):
            store.counts()


def test_the_clock_is_the_databases_and_has_milliseconds(store: Store) -> None:
    with store._database.reading() as connection:
        assert store._database.now(connection) == pytest.approx(time.time(), abs=2.0)
    with store._database.reading() as connection:
        first = store._database.now(connection)
        time.sleep(0.05)
        assert 0.03 < store._database.now(connection) - first < 5.0


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE trials SET state = 'lost'", "known_state"),
        ("UPDATE trials SET state = 'running'", "running_has_lease"),
        ("UPDATE trials SET state = 'done'", "done_is_whole"),
        ("INSERT INTO study_trials VALUES ('study', 9, 'unknown')", "FOREIGN KEY"),
    ],
)
def test_rows_that_make_no_sense_cannot_be_written(
    store: Store, describe: Describe, statement: str, rule: str
) -> None:
    store.submit("study", [describe("a")])
    with pytest.raises(StoreError, match=rule), store._database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_another_programs_database_is_refused_untouched(tmp_path: Path) -> None:
    file = tmp_path / "photos.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = file.read_bytes()
    for create in (True, False):
        with pytest.raises(
            StoreError, match="got one with table 'photos' of another program; nothing was changed"
        ):
            Store.open(file, create=create)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.db"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"odd\.db: expected a working database"):
        Store.open(file)
    assert file.read_bytes() == content


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/medtransfer\.db: expected a store") as caught:
        Store.open(tmp_path / "absent", create=False)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(UsageError, match="expected a store"):
        Store.open(tmp_path / "empty.db", create=False)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/store: expected a file that can be written"):
        Store.open(tmp_path / "file" / "store")


def test_a_read_only_database_is_a_clear_error_and_stays_as_it_was(store: Store, describe: Describe) -> None:
    store.submit("study", [describe("a")])
    with store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match=r"readonly database.*Make the file and its folder writable"):
        store.claim(["a"], "me", LEASE_S)
    assert store.counts().pending == 1


def test_a_missing_driver_is_named_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"medtransfer\[postgres\]"):
        Store.open("postgresql://localhost:1/x", artifacts=tmp_path)


def test_a_server_that_does_not_answer_is_a_store_error_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the package psycopg is not installed")
    with pytest.raises(StoreError, match="Check that the server runs") as caught:
        Store.open("postgresql://user:secret@127.0.0.1:1/x", artifacts=tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_writes_on_a_connection_of_its_own(store: Store, describe: Describe) -> None:
    store.submit("study", [describe(f"{side}{n}") for side in "pc" for n in range(20)])
    inherited = store._database._own_engine()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if store._database._own_engine() is inherited:
                os._exit(2)
            for n in range(20):
                (claim,) = store.claim([f"c{n}"], "child", LEASE_S)
                store.fail(claim, "none", "by the child")
            status = 0
        finally:
            os._exit(status)
    for n in range(20):
        (claim,) = store.claim([f"p{n}"], "parent", LEASE_S)
        store.fail(claim, "none", "by the parent")
    assert os.waitpid(child, 0)[1] == 0
    assert store.counts() == Counts(done=0, running=0, pending=0, failed=40)
    assert pragma(store, "integrity_check") == "ok"


def test_frequent_queries_use_indexes(store: Store, describe: Describe) -> None:
    store.submit("study", [describe("a"), describe("b")])
    seen: list[str] = []

    @sa.event.listens_for(store._database._engine, "before_cursor_execute")
    def explain(connection, cursor, statement, parameters, context, many) -> None:
        if "trials" in statement and statement.startswith(("SELECT", "UPDATE")) and not many:
            seen.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    (claim, _) = store.claim(["a", "b"], "me", LEASE_S)
    store.heartbeat([claim], LEASE_S)
    store.fail(claim, "none", "message")
    store.owners()
    store.expire_owner("me")
    store.states(["a", "b"])
    store.counts("study")
    store.records("study", [State.FAILED])
    store.retry_failed("study")
    assert len(seen) >= 9
    assert [plan for plan in seen if plan.startswith("SCAN")] == []
    seen.clear()
    store.counts()
    assert [plan for plan in seen if plan.startswith("SCAN") and "COVERING INDEX" not in plan] == []


def tables(file: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(file)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).fetchall()
    connection.close()
    return [(name, " ".join(text.split())) for name, text in rows]


def test_the_tables_do_not_change_without_a_new_schema_number(store: Store, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript((Path(__file__).parent / f"schema-{SCHEMA_VERSION}.sql").read_text())
    connection.close()
    assert tables(tmp_path / "store" / "medtransfer.db") == tables(tmp_path / "old.db")


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_store_of_every_schema_is_read(tmp_path: Path, version: int) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript((Path(__file__).parent / f"schema-{version}.sql").read_text())
    connection.close()
    with Store.open(tmp_path / "old.db", create=False) as store:
        assert store.studies() == ["first"]
        done, failed, pending = store.records("first")
    assert (done.state, done.outcome.metrics["test"]["auc"]["value"]) == (State.DONE, 0.75)
    assert done.finished_at == "2026-01-02T03:04:05.250+00:00"
    assert (failed.reason, failed.message) == ("non_finite_loss", "loss at step 3")
    assert (pending.state, pending.description.varied) == (State.PENDING, ("training",))


def test_interrupts_at_any_moment_leave_the_connection_usable(tmp_path: Path) -> None:
    """A torn transaction would keep the only connection, and the next one would wait minutes for it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    torn = []
    try:
        with Store.open(tmp_path / "store") as store:
            for number in range(150):
                try:
                    timer = threading.Timer(0.0003 * (number % 10), os.kill, (os.getpid(), signal.SIGINT))
                    timer.start()
                    while timer.is_alive():
                        store.expire_owner("nobody")
                    timer.join()
                    time.sleep(0.01)  # the interrupt is on its way at the latest
                except KeyboardInterrupt as interrupt:
                    torn.append(interrupt)  # with its frames, which hold what they held
            began = time.monotonic()
            assert store.counts().total == 0
            assert time.monotonic() - began < 30
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(torn) == 150
