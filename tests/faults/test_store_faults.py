"""Kills, zombies, full disks, cut logs and random histories: what was acknowledged is there, once."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from medtransfer.core.errors import LeaseLostError, StoreError
from medtransfer.store.leases import Claim
from medtransfer.store.owners import dead_owners
from medtransfer.store.records import Counts, Outcome, State, TrialDescription
from medtransfer.store.schema import trials
from medtransfer.store.store import Store


def describe(name: str) -> TrialDescription:
    return TrialDescription(name, "task", "model", "linear", {}, 1.0, 0, ())


def outcome(value: float) -> Outcome:
    return Outcome({"test": {"auc": {"value": value}}}, 10)


def predictions(value: float, rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"case_id": [str(n) for n in range(rows)], "score": [value + n for n in range(rows)]})


IMPORTS = """
from __future__ import annotations
import json, os, random, select, signal, sys, time
import pandas as pd, pyarrow.parquet
from medtransfer.core.errors import LeaseLostError, StoreError
from medtransfer.store.owners import this_owner
from medtransfer.store.owners import dead_owners
from medtransfer.store.records import Outcome, TrialDescription
from medtransfer.store.store import Store
"""
PREAMBLE = IMPORTS + "".join(inspect.getsource(helper) for helper in (describe, outcome, predictions))


def start(text: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python program that begins with the preamble."""
    program = PREAMBLE + textwrap.dedent(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


def integrity(folder: Path) -> str:
    connection = sqlite3.connect(folder / "medtransfer.db")
    (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return found


KILLED_WRITERS = """
    folder, rounds = sys.argv[1], int(sys.argv[2])
    random.seed(1)
    killed, acknowledged = 0, []
    for number in range(rounds):
        names = [f"{number}-{n}" for n in range(200)]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            store = Store.open(folder)
            store.submit(f"study-{number}", [describe(name) for name in names])
            for claim in store.claim(names, this_owner(), 600.0):
                store.finish(claim, outcome(0.5), predictions(random.random()))
                os.write(writer, claim.fingerprint.encode() + b"\\n")
            os._exit(0)
        os.close(writer)
        if number % 2:  # every other kill falls among the results, the rest anywhere from the start on
            select.select([reader], [], [], 60.0)
        time.sleep(random.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        with os.fdopen(reader, "rb") as stream:
            acknowledged += stream.read().decode().split()
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    print(json.dumps({"killed": killed, "acknowledged": acknowledged}))
"""


def test_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    told = json.loads(result(start(KILLED_WRITERS, tmp_path, 30)))
    assert told["killed"] >= 20, "a test of kills in which nothing is killed shows nothing"
    assert len(told["acknowledged"]) >= 15
    assert integrity(tmp_path) == "ok"
    with Store.open(tmp_path, create=False) as store:
        done = {record.description.fingerprint for record in store.records(states=[State.DONE])}
        assert set(told["acknowledged"]) <= done
        assert len(done) - len(set(told["acknowledged"])) <= told["killed"], (
            "at most one without acknowledgement each"
        )
        assert store.verify() == []
        assert sum(store.expire_owner(owner) for owner in dead_owners(store.owners())) > 0
        assert store.counts().running == 0


RUNNERS = """
    folder, owners = sys.argv[1], sys.argv[2:]
    names = [f"{n:03}" for n in range(100)]

    def run(owner):
        store = Store.open(folder)
        random.seed(owner)
        counts = store.counts("study")
        while counts.done < 100:
            for claim in store.claim(random.sample(names, 20), owner, 600.0)[:1]:
                store.heartbeat([claim], 600.0)
                store.finish(claim, outcome(0.5), predictions(0.0))
                os.write(1, f"{owner} {claim.fingerprint}\\n".encode())
            store.expire_owner(owner)
            counts = store.counts("study")

    children = []
    for owner in owners:
        children.append(os.fork())
        if children[-1] == 0:
            status = 1
            try:
                run(owner)
                status = 0
            except Exception as error:
                os.write(2, repr(error).encode())
            finally:
                os._exit(status)
    sys.exit(max(os.waitpid(child, 0)[1] for child in children) != 0)
"""


def test_many_runners_do_each_trial_once(tmp_path: Path) -> None:
    names = [f"{n:03}" for n in range(100)]
    with Store.open(tmp_path) as store:
        store.submit("study", [describe(name) for name in names])
    lines = result(start(RUNNERS, tmp_path, *"ABCDEFGH")).splitlines()
    assert sorted(line.split()[1] for line in lines) == names
    assert len({line.split()[0] for line in lines}) > 1, "several runners had a share"
    with Store.open(tmp_path) as store:
        assert store.counts() == Counts(done=100, running=0, pending=0, failed=0)
    assert integrity(tmp_path) == "ok"


ZOMBIE = """
    store = Store.open(sys.argv[1])
    (claim,) = store.claim(["a"], this_owner(), 0.3)
    print("claimed", flush=True)
    input()
    errors = []
    for write in (
        lambda: store.heartbeat([claim], 600.0),
        lambda: store.finish(claim, outcome(0.25), predictions(0.25)),
        lambda: store.fail(claim, "late", "message"),
    ):
        try:
            write()
        except LeaseLostError:
            errors.append("lost")
    print(errors)
"""


def test_a_process_that_was_stopped_past_its_lease_cannot_write(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.submit("study", [describe("a")])
        zombie = start(ZOMBIE, tmp_path)
        assert zombie.stdout.readline() == "claimed\n"
        zombie.send_signal(signal.SIGSTOP)
        assert dead_owners(store.owners()) == [], "stopped is not dead"
        claims = []
        while not claims:
            claims = store.claim(["a"], "other", 600.0)
        store.finish(claims[0], outcome(0.75), predictions(0.75))
        before = store.records()
        zombie.send_signal(signal.SIGCONT)
        zombie.stdin.write("go\n")
        zombie.stdin.flush()
        assert result(zombie) == "['lost', 'lost', 'lost']\n"
        assert store.records() == before
        assert store.predictions(before[0])["score"][0] == 0.75


def test_a_killed_runners_trials_are_free_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.submit("study", [describe("a")])
        runner = start(ZOMBIE.replace("0.3)", "600.0)"), tmp_path)
        assert runner.stdout.readline() == "claimed\n"
        assert store.claim(["a"], "other", 600.0) == []
        runner.kill()
        runner.communicate()
        for owner in dead_owners(store.owners()):
            store.expire_owner(owner)
        assert store.claim(["a"], "other", 600.0) == [Claim("a", 2)]


FULL_DISK = """
    import resource
    folder, room = sys.argv[1], int(sys.argv[2])
    store = Store.open(folder)
    names = [f"{n:03}" for n in range(300)]
    claims = store.claim(names, this_owner(), 600.0)
    size = os.path.getsize(folder + "/medtransfer.db-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, size + room))
    finished = []
    try:
        for claim in claims:
            store.finish(claim, outcome(0.5), predictions(float(len(finished))))
            finished.append(claim.fingerprint)
        message = "no error"
    except StoreError as error:
        message = str(error)
    print(json.dumps({"finished": finished, "message": message, "counts": store.counts().done}))
"""


def test_a_database_that_cannot_grow_keeps_what_it_has(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.submit("study", [describe(f"{n:03}") for n in range(300)])
        told = json.loads(result(start(FULL_DISK, tmp_path, 200_000)))
        assert 0 < len(told["finished"]) < 300
        assert str(tmp_path) in told["message"]
        assert "Free space there and run the same command again" in told["message"]
        assert told["counts"] == len(told["finished"])
        done = [record.description.fingerprint for record in store.records("study", states=[State.DONE])]
        assert done == told["finished"]
        assert store.verify() == []
        store.expire_owner(store.owners()[0])
        (claim,) = store.claim(["299"], "next run", 600.0)
        store.finish(claim, outcome(0.5), predictions(0.5))
    assert integrity(tmp_path) == "ok"


FULL_ARTIFACTS = """
    import resource
    store = Store.open(sys.argv[1])
    (claim,) = store.claim(["a"], this_owner(), 600.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    try:
        store.finish(claim, outcome(0.5), predictions(0.1, rows=200_000))
        print("no error")
    except StoreError as error:
        print(error)
    left = [name for _, _, names in os.walk(store.artifacts) for name in names]
    print(left, store.records()[0].state)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    store.finish(claim, outcome(0.5), predictions(0.1, rows=200_000))
    print(store.verify())
"""


def test_predictions_that_do_not_fit_leave_no_file_and_can_be_written_later(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.submit("study", [describe("a")])
    message, left, verified = result(start(FULL_ARTIFACTS, tmp_path)).splitlines()
    assert str(tmp_path / "artifacts") in message
    assert "File too large" in message
    assert "Free space there" in message
    assert left == "[] running"
    assert verified == "[]"


@pytest.mark.parametrize("words", ["database or disk is full", "disk I/O error"])
def test_what_sqlite_says_of_a_full_disk_becomes_advice(tmp_path: Path, words: str) -> None:
    with Store.open(tmp_path) as store:
        store.submit("study", [describe("a")])
        (claim,) = store.claim(["a"], "me", 600.0)

        @sa.event.listens_for(store._database._engine, "before_cursor_execute")
        def fail(connection, cursor, statement, parameters, context, many) -> None:
            if statement.startswith("UPDATE"):
                raise sa.exc.OperationalError(statement, parameters, sqlite3.OperationalError(words))

        with pytest.raises(StoreError, match=rf"{tmp_path}.*{words}.*Free space there"):
            store.finish(claim, outcome(0.5), predictions(0.5))
        sa.event.remove(store._database._engine, "before_cursor_execute", fail)
        assert store.counts() == Counts(done=0, running=1, pending=0, failed=0)
        store.finish(claim, outcome(0.5), predictions(0.5))


def test_a_log_cut_at_any_page_is_a_prefix_of_the_results(tmp_path: Path) -> None:
    names = [f"{n:02}" for n in range(12)]
    with Store.open(tmp_path / "whole") as store:
        store.submit("study", [describe(name) for name in names])
        for claim in store.claim(names, "me", 600.0):
            store.finish(claim, outcome(0.5), predictions(0.5))
        database = (tmp_path / "whole" / "medtransfer.db").read_bytes()
        log = (tmp_path / "whole" / "medtransfer.db-wal").read_bytes()
    frame, seen = 4096 + 24, []
    for length in range(32, len(log) + 1, frame // 2):
        shutil.rmtree(tmp_path / "cut", ignore_errors=True)
        (tmp_path / "cut").mkdir()
        (tmp_path / "cut" / "medtransfer.db").write_bytes(database)
        (tmp_path / "cut" / "medtransfer.db-wal").write_bytes(log[:length])
        assert integrity(tmp_path / "cut") == "ok"
        connection = sqlite3.connect(tmp_path / "cut" / "medtransfer.db")
        try:
            rows = connection.execute(
                "SELECT fingerprint FROM trials WHERE state = 'done' ORDER BY fingerprint"
            )
            done = [name for (name,) in rows]
        except sqlite3.OperationalError:  # before the first commit there is no table yet
            done = []
        connection.close()
        assert done == names[: len(done)]
        seen.append(len(done))
    assert seen == sorted(seen)
    assert set(seen) == set(range(13)), "the cuts fall between all commits"


def test_a_report_read_during_writes_sees_whole_results(tmp_path: Path) -> None:
    names = [f"{n:03}" for n in range(100)]
    with Store.open(tmp_path) as store:
        store.submit("study", [describe(name) for name in names])
        runners = start(RUNNERS, tmp_path, "A", "B")
        before, moments = 0, set()
        while before < 100:
            assert runners.poll() in {None, 0}
            records = store.records("study")
            assert [record.description.fingerprint for record in records] == names
            done = [record for record in records if record.state is State.DONE]
            assert all((record.outcome is None) == (record.state is not State.DONE) for record in records)
            assert len(done) >= before
            for record in done[before : before + 1]:
                assert len(store.predictions(record)) == 3
            before = len(done)
            moments.add(before)
        assert len(moments) > 2, "the reader saw the study on its way"
        result(runners)


class StoreMachine(RuleBasedStateMachine):
    """Any history of two runners on six trials agrees with a model that fits on a page."""

    names = st.sampled_from("abcdef")
    owners = st.sampled_from(["one", "two"])

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ["STORE_MACHINE_FOLDER"]) / str(id(self))
        self.store = Store.open(self.folder)
        self.model: dict[str, SimpleNamespace] = {}
        self.claims: list[tuple[Claim, str]] = []

    @initialize()
    def begin(self) -> None:
        self.submit(["a", "b", "c"])

    @rule(chosen=st.lists(names, unique=True, max_size=6))
    def submit(self, chosen: list[str]) -> None:
        self.store.submit("study", [describe(name) for name in chosen])
        for name in chosen:
            fresh = SimpleNamespace(state="pending", epoch=0, expired=False, owner=None, value=None)
            self.model.setdefault(name, fresh)
        self.study = chosen

    @rule(chosen=st.lists(names, max_size=4), owner=owners)
    def claim(self, chosen: list[str], owner: str) -> None:
        granted = self.store.claim(chosen, owner, 600.0)
        expected = []
        for name in dict.fromkeys(chosen):
            trial = self.model.get(name)
            if trial and (trial.state == "pending" or (trial.state == "running" and trial.expired)):
                trial.state, trial.epoch, trial.expired, trial.owner = (
                    "running",
                    trial.epoch + 1,
                    False,
                    owner,
                )
                expected.append(Claim(name, trial.epoch))
        assert granted == expected
        self.claims += [(claim, owner) for claim in granted]

    def holds(self, claim: Claim) -> bool:
        trial = self.model[claim.fingerprint]
        return trial.state == "running" and trial.epoch == claim.epoch

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        claim, _ = data.draw(st.sampled_from(self.claims))
        if self.holds(claim):
            self.store.heartbeat([claim], 600.0)
            self.model[claim.fingerprint].expired = False
        else:
            with pytest.raises(LeaseLostError):
                self.store.heartbeat([claim], 600.0)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), value=st.floats(0, 1), well=st.booleans())
    def end(self, data: st.DataObject, value: float, well: bool) -> None:
        claim, _ = data.draw(st.sampled_from(self.claims))

        def write() -> None:
            if well:
                self.store.finish(claim, outcome(value), predictions(value))
            else:
                self.store.fail(claim, "reason", "message")

        if self.holds(claim):
            write()
            trial = self.model[claim.fingerprint]
            trial.state, trial.value, trial.expired = (
                ("done", value, False) if well else ("failed", None, False)
            )
        else:
            with pytest.raises(LeaseLostError):
                write()

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        claim, _ = data.draw(st.sampled_from(self.claims))
        self.store.release([claim])
        if self.holds(claim):
            self.model[claim.fingerprint].state = "pending"

    @rule(name=names)
    def time_passes(self, name: str) -> None:
        trial = self.model.get(name)
        if trial and trial.state == "running":
            trial.expired = True
            with self.store._database.writing() as connection:
                connection.execute(
                    sa.update(trials).where(trials.c.fingerprint == name).values(lease_until=1.0)
                )

    @rule(owner=owners)
    def owner_dies(self, owner: str) -> None:
        held = [trial for trial in self.model.values() if trial.state == "running" and trial.owner == owner]
        assert self.store.expire_owner(owner) == len(held)
        for trial in held:
            trial.state = "pending"

    @rule()
    def retry(self) -> None:
        failed = [self.model[name] for name in self.study if self.model[name].state == "failed"]
        assert self.store.retry_failed("study") == len(failed)
        for trial in failed:
            trial.state = "pending"

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder, create=False)

    @invariant()
    def agrees_with_the_model(self) -> None:
        records = {record.description.fingerprint: record for record in self.store.records()}
        assert records.keys() == self.model.keys()
        for name, trial in self.model.items():
            state = "pending" if trial.state == "running" and trial.expired else trial.state
            record = records[name]
            assert (record.state, record.attempts) == (state, trial.epoch)
            if trial.state == "done":
                assert record.outcome == outcome(trial.value)
                assert self.store.predictions(record)["score"][0] == trial.value
        states = [record.state.value for record in records.values()]
        assert self.store.counts() == Counts(**{state.value: states.count(state.value) for state in State})
        ordered = [record.description.fingerprint for record in self.store.records("study")]
        assert ordered == getattr(self, "study", ordered)
        owners = {trial.owner for trial in self.model.values() if trial.state == "running"}
        assert self.store.owners() == sorted(owners)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def test_random_histories_agree_with_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setenv("STORE_MACHINE_FOLDER", str(tmp_path))
    limits = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(StoreMachine, settings=limits)
