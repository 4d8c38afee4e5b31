"""One suite for every database a store can be in."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from medtransfer.core.errors import LeaseLostError, StoreError, TrialError, UsageError
from medtransfer.store.imported_rows import ImportCounts, ImportedRow
from medtransfer.store.leases import Claim, LeasesLostError
from medtransfer.store.records import Counts, Outcome, State, TrialDescription
from medtransfer.store.schema import (
    SCHEMA_VERSION,
    imported,
    schema_version,
    trial_costs,
    trial_memory,
    trials,
)
from medtransfer.store.store import Store
from medtransfer.store.trial_costs import MeasuredCost, cost_key

LEASE_S = 600.0
FOREIGN = "données 胸部 \x00 \ud800 \u2028 </script> '; drop table trials; -- \\ \U0001f600"


def describe(name: str, **changes: Any) -> TrialDescription:
    description = TrialDescription(
        fingerprint=name,
        task="breastmnist",
        model="resnet18.random",
        protocol="linear",
        settings={"strengths": [0.1, 1.0], "nested": {"a": None}},
        label_fraction=0.1,
        repetition=0,
        varied=("label subset", "training"),
        facts={"classes": ["no", "yes"]},
    )
    return replace(description, **changes)


def describe_all(*names: str) -> list[TrialDescription]:
    return [describe(name, repetition=number) for number, name in enumerate(names)]


def predictions(score: float = 0.25) -> pd.DataFrame:
    return pd.DataFrame({"case_id": ["a", "b"], "label": [0, 1], "score:yes": [score, 1 / 3]})


def outcome(value: float | None = 0.1 + 0.2) -> Outcome:
    return Outcome(
        metrics={"test": {"auc": {"value": value, "note": None, "per_class": {"yes": 5e-324}}}},
        train_cases=54,
        choices={"strength": 1e22},
        curve=({"epoch": 0, "train_loss": 1 / 3, "val_loss": None},),
        duration_s=1.5,
    )


@dataclass
class Place:
    """A store, and how to open it again."""

    location: str | Path
    artifacts: Path | None

    def open(self, **options: Any) -> Store:
        return Store.open(self.location, artifacts=self.artifacts, **options)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(tmp_path / "store", None)
        return
    address = request.getfixturevalue("postgres_url")
    schema = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    engine.dispose()
    yield Place(f"{address}?options=-csearch_path%3D{schema}", tmp_path / "artifacts")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.open() as opened:
        yield opened


@pytest.fixture
def let_leases_expire(store: Store) -> Callable[[], None]:
    def expire() -> None:
        with store._database.writing() as connection:
            connection.execute(sa.update(trials).where(trials.c.state == "running").values(lease_until=1.0))

    return expire


def claim_one(store: Store, name: str, owner: str = "me") -> Claim:
    (claim,) = store.claim([name], owner, LEASE_S)
    return claim


# Studies


def test_records_come_back_as_they_went_in_and_in_study_order(store: Store) -> None:
    submitted = describe_all("c", "a", "b")
    store.submit("study", submitted, source="name: study\n", plan={"workers": 2})
    records = store.records("study")
    assert [record.description for record in records] == submitted
    assert {record.state for record in records} == {State.PENDING}
    assert all(record.outcome is None and record.owner is None for record in records)
    assert store.study_source("study") == "name: study\n"
    assert store.study_plan("study") == {"workers": 2}
    assert store.counts("study") == Counts(done=0, running=0, pending=3, failed=0)


def test_any_text_survives(store: Store) -> None:
    description = describe(
        "a", task=FOREIGN, model=FOREIGN, settings={FOREIGN: FOREIGN}, facts={"n": [FOREIGN]}
    )
    store.submit("étude 一", [description], source=FOREIGN)
    claim = claim_one(store, "a")
    store.fail(claim, "bad_data", FOREIGN, FOREIGN)
    (record,) = store.records("étude 一")
    assert record.description == description
    assert (record.message, record.traceback) == (FOREIGN, FOREIGN)
    assert store.study_source("étude 一") == FOREIGN


def test_submitting_again_keeps_what_has_run_and_replaces_the_list(store: Store) -> None:
    store.submit("study", describe_all("a", "b", "c"))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    claim_one(store, "b")
    before = store.records()
    store.submit("study", describe_all("c", "a", "b"))
    assert sorted(store.records(), key=lambda r: r.description.fingerprint) == [
        before[0],
        before[1],
        replace(before[2], description=describe("c", repetition=0)),
    ]
    assert [record.state for record in store.records("study")] == [State.PENDING, State.DONE, State.RUNNING]
    store.submit("study", describe_all("d"))
    assert [record.description.fingerprint for record in store.records("study")] == ["d"]
    assert store.counts().total == 4


def test_a_trial_is_shared_by_studies(store: Store) -> None:
    store.submit("one", describe_all("a", "b"))
    store.submit("two", describe_all("b", "c"))
    store.finish(claim_one(store, "b"), outcome(), predictions())
    assert store.counts("one") == store.counts("two") == Counts(done=1, running=0, pending=1, failed=0)
    assert store.counts() == Counts(done=1, running=0, pending=2, failed=0)
    assert store.studies() == ["one", "two"]


MEANING = {
    "overlap": "unknown",
    "overlap_reason": "nobody declared it",
    "pretraining": {"objective": "unknown", "data": [], "year": None},
    "caution": "",
    "licence": None,
    "citation": "",
    "model_licence": "",
    "model_citation": "",
    "model_note": "",
}


def test_corrected_facts_that_cannot_change_a_number_reach_trials_that_run_or_are_done(store: Store) -> None:
    frozen = {"classes": ["no", "yes"], "equivalence_margin": 0.01, "data_hash": "d", "title": "one"}
    before = [describe(name, facts={**frozen, **MEANING}) for name in "abc"]
    store.submit("study", before)
    store.finish(claim_one(store, "a"), outcome(), predictions())
    held = claim_one(store, "b")
    there = store.records("study")
    right: dict[str, Any] = dict.fromkeys(MEANING, f"right {FOREIGN}")
    right |= {
        "overlap": "same",
        "pretraining": {"objective": "supervised", "data": ["our-scans"], "year": 2020},
    }
    other = {"classes": ["a", "b"], "equivalence_margin": 0.5, "data_hash": "e", "title": "two"}
    store.submit("study", [describe(name, settings={}, facts={**other, **right, "new": 1}) for name in "abc"])
    after = store.records("study")
    assert [dict(record.description.facts) for record in after] == [
        {**frozen, **right},
        {**frozen, **right},
        {**other, **right, "new": 1},
    ]
    for old, new in zip(there[:2], after[:2], strict=True):
        assert replace(new, description=replace(new.description, facts=old.description.facts)) == old
    store.finish(held, outcome(), predictions())
    store.submit("other", [describe("b", facts={"overlap": "clean"})])
    assert store.records("other")[0].description.facts == {**frozen, **right, "overlap": "clean"}


def test_trials_that_left_every_study_are_counted_apart(store: Store, let_leases_expire) -> None:
    store.submit("one", describe_all("a", "b", "c", "d"))
    store.submit("two", describe_all("a"))
    assert store.counts_by_membership() == (store.counts(), Counts(0, 0, 0, 0))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    store.fail(claim_one(store, "b"), "error", "message")
    store.fail(claim_one(store, "c"), "error", "message")
    claim_one(store, "d")
    let_leases_expire()
    store.submit("one", describe_all("c"))
    members, others = store.counts_by_membership()
    assert members == Counts(done=1, running=0, pending=0, failed=1)
    assert others == Counts(done=0, running=0, pending=1, failed=1)
    failed = store.records(states=[State.FAILED], only_members=True)
    assert [record.description.fingerprint for record in failed] == ["c"]


def test_facts_of_a_pending_trial_are_refreshed_and_of_a_finished_one_are_not(store: Store) -> None:
    store.submit("study", describe_all("a", "b"))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    store.submit("study", [describe("a", facts={"new": 1}), describe("b", facts={"new": 1})])
    facts = [record.description.facts for record in store.records("study")]
    assert facts == [{"classes": ["no", "yes"]}, {"new": 1}]


def test_an_empty_study_is_a_study(store: Store) -> None:
    store.submit("empty", [])
    assert store.records("empty") == []
    assert store.counts("empty").total == 0


@pytest.mark.parametrize(
    ("name", "descriptions", "words"),
    [
        ("", [], "expected a name"),
        ("a\x00b", [], "expected a name"),
        ("study", describe_all("a", "a"), "'a' more than once"),
        ("study", [describe("a", settings={"x": {"y": [1.0, float("nan")]}})], r"settings\.x\.y\[1\]"),
    ],
)
def test_what_cannot_be_submitted_leaves_no_trace(
    store: Store, name: str, descriptions: list[TrialDescription], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        store.submit(name, descriptions)
    assert store.studies() == []
    assert store.counts().total == 0


def test_an_unknown_study_is_named_with_the_nearest(store: Store) -> None:
    store.submit("first-light", [])
    for ask in (store.records, store.counts, store.study_source, store.study_plan, store.retry_failed):
        with pytest.raises(UsageError, match=r"'first-lihgt'.*Did you mean 'first-light'"):
            ask("first-lihgt")


# Claims


def test_a_claim_is_granted_once_and_in_the_order_wanted(store: Store) -> None:
    store.submit("study", describe_all("a", "b", "c"))
    assert store.claim(["c", "a", "c", "unknown"], "me", LEASE_S) == [Claim("c", 1), Claim("a", 1)]
    assert store.claim(["a", "b", "c"], "other", LEASE_S) == [Claim("b", 1)]
    assert store.counts("study") == Counts(done=0, running=3, pending=0, failed=0)
    assert store.owners() == ["me", "other"]
    assert {r.description.fingerprint: r.owner for r in store.records()} == {
        "a": "me",
        "b": "other",
        "c": "me",
    }


def test_finished_and_failed_trials_are_not_granted(store: Store) -> None:
    store.submit("study", describe_all("a", "b"))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    store.fail(claim_one(store, "b"), "bad", "message")
    assert store.claim(["a", "b"], "me", LEASE_S) == []


def test_an_expired_lease_is_pending_and_passes_on_with_a_higher_epoch(
    store: Store, let_leases_expire: Callable[[], None]
) -> None:
    store.submit("study", describe_all("a"))
    claim_one(store, "a", "first")
    let_leases_expire()
    assert store.counts("study") == store.counts() == Counts(done=0, running=0, pending=1, failed=0)
    assert [record.state for record in store.records("study", states=[State.PENDING])] == [State.PENDING]
    assert store.records(states=[State.RUNNING]) == []
    assert store.states(["a", "unknown"]) == {"a": State.PENDING}
    assert claim_one(store, "a", "second") == Claim("a", 2)
    (record,) = store.records("study")
    assert (record.state, record.owner, record.attempts) == (State.RUNNING, "second", 2)


def test_a_lease_lasts_as_long_as_it_says_by_the_databases_clock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    store.submit("study", describe_all("a", "b"))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * 1000)
    store.claim(["a"], "me", 0.15)
    store.claim(["b"], "me", LEASE_S)
    assert store.claim(["a", "b"], "other", LEASE_S) == []
    time.sleep(0.3)
    assert store.claim(["a", "b"], "other", LEASE_S) == [Claim("a", 2)]


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("nan")])
def test_a_lease_needs_a_length(store: Store, lease_s: float) -> None:
    with pytest.raises(UsageError, match="more than 0 seconds"):
        store.claim([], "me", lease_s)
    with pytest.raises(UsageError, match="more than 0 seconds"):
        store.heartbeat([], lease_s)


def test_a_heartbeat_extends_what_is_held_and_names_what_is_lost(
    store: Store, let_leases_expire: Callable[[], None]
) -> None:
    store.submit("study", describe_all("a", "b", "c", "d"))
    claims = store.claim(["a", "b", "c", "d"], "me", LEASE_S)
    let_leases_expire()
    claim_one(store, "b", "other")
    store.expire_owner("nobody")
    store.finish(claims[3], outcome(), predictions())
    with pytest.raises(LeasesLostError, match="expected 4 leases, got 2") as caught:
        store.heartbeat(claims, LEASE_S)
    assert caught.value.claims == (claims[1], claims[3])
    assert store.claim(["a", "b", "c", "d"], "third", LEASE_S) == []
    store.heartbeat([claims[0], claims[2]], LEASE_S)


def test_an_expired_lease_that_nobody_took_can_be_kept(
    store: Store, let_leases_expire: Callable[[], None]
) -> None:
    store.submit("study", describe_all("a", "b"))
    claims = store.claim(["a", "b"], "me", LEASE_S)
    let_leases_expire()
    store.heartbeat(claims[:1], LEASE_S)
    store.finish(claims[1], outcome(), predictions())
    assert store.counts() == Counts(done=1, running=1, pending=0, failed=0)


def test_released_and_expired_trials_are_pending_for_all(store: Store) -> None:
    store.submit("study", describe_all("a", "b", "c"))
    mine = store.claim(["a", "b"], "me", LEASE_S)
    claim_one(store, "c", "dead")
    store.release(mine[:1])
    assert store.expire_owner("dead") == 1
    assert store.expire_owner("dead") == 0
    assert store.owners() == ["me"]
    assert store.counts() == Counts(done=0, running=1, pending=2, failed=0)
    assert store.claim(["a", "b", "c"], "other", LEASE_S) == [Claim("a", 2), Claim("c", 2)]
    store.release(mine)
    assert {r.description.fingerprint: r.state for r in store.records()} == {
        "a": State.RUNNING,
        "b": State.PENDING,
        "c": State.RUNNING,
    }


# Ends


def test_a_result_comes_back_exactly(store: Store) -> None:
    store.submit("study", describe_all("a"))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    (record,) = store.records("study", states=[State.DONE])
    assert record.outcome == outcome()
    assert record.outcome.metrics["test"]["auc"]["value"].hex() == (0.1 + 0.2).hex()
    assert record.outcome.metrics["test"]["auc"]["per_class"]["yes"] == 5e-324
    pd.testing.assert_frame_equal(store.predictions(record), predictions())
    assert record.finished_at is not None
    assert record.finished_at.endswith("+00:00")
    assert (store.artifacts / record.predictions_file).is_file()
    assert store.verify() == []


def test_a_failure_comes_back_with_its_reason(store: Store) -> None:
    store.submit("study", describe_all("a"))
    store.fail(claim_one(store, "a"), "non_finite_loss", "loss at step 3", "Traceback …")
    (record,) = store.records("study")
    assert (record.state, record.reason, record.message, record.traceback) == (
        State.FAILED,
        "non_finite_loss",
        "loss at step 3",
        "Traceback …",
    )
    assert record.finished_at is not None
    with pytest.raises(UsageError, match="expected a finished trial, got one that is failed"):
        store.predictions(record)


@pytest.mark.parametrize("end", ["taken", "finished", "failed", "released", "expired", "never"])
def test_a_write_under_a_lost_lease_changes_nothing(
    store: Store, let_leases_expire: Callable[[], None], end: str
) -> None:
    store.submit("study", describe_all("a"))
    old = claim_one(store, "a", "zombie")
    if end == "released":
        store.release([old])
    elif end == "expired":
        store.expire_owner("zombie")
    elif end == "never":
        old = Claim("unknown", 1)
    else:
        let_leases_expire()
        new = claim_one(store, "a", "other")
        if end == "finished":
            store.finish(new, outcome(0.75), predictions(0.75))
        elif end == "failed":
            store.fail(new, "bad", "message")
    before, files = store.records(), sorted(store.artifacts.rglob("*"))
    with pytest.raises(LeaseLostError, match="was not written"):
        store.finish(old, outcome(0.5), predictions(0.5))
    assert sorted(store.artifacts.rglob("*")) == files
    with pytest.raises(LeaseLostError, match="was not written"):
        store.fail(old, "late", "message")
    store.release([old])
    assert store.records() == before
    assert store.verify() == []


def test_the_lease_may_be_lost_while_the_file_is_written(
    store: Store, let_leases_expire: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.submit("study", describe_all("a"))
    old = claim_one(store, "a", "slow")
    write = store._predictions.write

    def write_slowly(file: Any) -> None:
        write(file)
        monkeypatch.setattr(store._predictions, "write", write)
        let_leases_expire()
        store.finish(claim_one(store, "a", "other"), outcome(0.75), predictions(0.75))

    monkeypatch.setattr(store._predictions, "write", write_slowly)
    with pytest.raises(LeaseLostError):
        store.finish(old, outcome(0.5), predictions(0.5))
    (record,) = store.records()
    assert (record.outcome, record.owner) == (outcome(0.75), "other")
    assert store.predictions(record)["score:yes"][0] == 0.75


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(store: Store, value: float) -> None:
    store.submit("study", describe_all("a"))
    claim = claim_one(store, "a")
    with pytest.raises(TrialError, match=r"metrics\.test\.auc\.value") as caught:
        store.finish(claim, outcome(value), predictions())
    assert caught.value.reason == "non_finite_outcome"
    assert store.records()[0].state is State.RUNNING
    store.finish(claim, outcome(None), predictions())
    assert store.records()[0].outcome == outcome(None)


def test_retrying_takes_failed_trials_of_one_study_with_given_reasons(store: Store) -> None:
    store.submit("one", describe_all("a", "b", "c"))
    store.submit("two", describe_all("d"))
    for name, reason in (("a", "worker_died"), ("b", "non_finite_loss"), ("d", "worker_died")):
        store.fail(claim_one(store, name), reason, "message", "traceback")
    store.finish(claim_one(store, "c"), outcome(), predictions())
    assert store.retry_failed("one", reasons=["worker_died", "timeout"]) == 1
    assert store.states("abcd") == dict(
        zip("abcd", (State.PENDING, State.FAILED, State.DONE, State.FAILED), strict=True)
    )
    record = store.records("one")[0]
    assert (record.reason, record.message, record.traceback, record.finished_at) == (None,) * 4
    assert store.retry_failed("one", reasons=[]) == 0
    assert store.retry_failed("one") == 1
    assert claim_one(store, "a") == Claim("a", 2)


# Files


def test_equal_predictions_are_one_file_and_missing_or_changed_ones_are_found(store: Store) -> None:
    store.submit("study", describe_all("a", "b", "c", "d"))
    for name, score in (("a", 0.5), ("b", 0.5), ("c", 0.25), ("d", 0.125)):
        store.finish(claim_one(store, name), outcome(), predictions(score))
    records = store.records("study")
    assert records[0].predictions_file == records[1].predictions_file
    damaged = store.artifacts / records[2].predictions_file
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x00")
    (store.artifacts / records[3].predictions_file).unlink()
    assert sorted((problem.what, problem.where.split(" (")[0]) for problem in store.verify()) == [
        ("damaged-predictions", records[2].predictions_file),
        ("missing-predictions", records[3].predictions_file),
    ]
    for record in records[2:]:
        with pytest.raises(StoreError, match=r"as they were written, got (no file|other content)"):
            store.predictions(record)
    assert store.retry_damaged() == 2
    assert store.verify() == []
    assert [record.state for record in store.records("study")] == [State.DONE] * 2 + [State.PENDING] * 2
    store.finish(claim_one(store, "c"), outcome(), predictions(0.25))
    assert store.verify() == []


def test_damaged_predictions_of_other_trials_are_left_alone(store: Store) -> None:
    store.submit("one", describe_all("a", "b"))
    store.submit("two", describe_all("c"))
    for name, score in (("a", 0.5), ("b", 0.25), ("c", 0.125)):
        store.finish(claim_one(store, name), outcome(), predictions(score))
    for record in store.records():
        if record.description.fingerprint != "b":
            (store.artifacts / str(record.predictions_file)).unlink()
    assert store.damaged("ab") == ("a",)
    assert store.damaged([]) == ()
    assert sorted(store.damaged()) == ["a", "c"]
    assert store.retry_damaged("ab") == 1
    assert store.retry_damaged("ab") == 0
    states = dict(zip("abc", (State.PENDING, State.DONE, State.DONE), strict=True))
    assert store.states("abc") == states


def test_nothing_is_given_back_because_a_disk_is_not_there(store: Store) -> None:
    store.submit("study", describe_all("a", "b"))
    assert store.damaged() == ()
    store.finish(claim_one(store, "a"), outcome(), predictions())
    (file,) = (store.artifacts / "predictions").iterdir()
    file.unlink()
    file.parent.rmdir()
    with pytest.raises(
        StoreError, match=r"predictions: expected the folder of the predictions, got none.*Mount"
    ):
        store.retry_damaged("ab")
    assert store.states("a") == {"a": State.DONE}
    file.parent.mkdir()
    assert store.retry_damaged("ab") == 1


def test_a_file_name_cannot_lead_out_of_the_artifacts(store: Store, tmp_path: Path) -> None:
    store.submit("study", describe_all("a"))
    store.finish(claim_one(store, "a"), outcome(), predictions())
    (record,) = store.records()
    (store.artifacts.parent / "secret").write_text("secret")
    with pytest.raises(StoreError, match="outside the artifact folder"):
        store.predictions(replace(record, predictions_file="../secret"))


# Opening


def test_a_store_is_found_again_and_not_made_when_only_looked_at(place: Place) -> None:
    with pytest.raises(UsageError, match="expected a store, got nothing there"):
        place.open(create=False)
    with place.open() as store:
        store.submit("study", describe_all("a"))
    with place.open(create=False) as store:
        assert store.studies() == ["study"]


def test_a_newer_schema_is_refused_untouched(place: Place) -> None:
    with place.open() as store:
        store.submit("study", describe_all("a"))
        with store._database.writing() as connection:
            connection.execute(sa.update(schema_version).values(version=99))
    for create in (True, False):
        with pytest.raises(
            StoreError, match=f"expected schema {SCHEMA_VERSION}, got 99; nothing was changed"
        ):
            place.open(create=create)


def test_a_store_of_schema_1_is_upgraded_in_place(place: Place) -> None:
    with place.open() as store:
        store.submit("study", describe_all("a"))
        store.finish(claim_one(store, "a"), replace(outcome(), cpu_s=2.5), predictions())
        costs = store.costs(describe_all("a"))
        with store._database.writing() as connection:
            imported.drop(connection)
            trial_costs.drop(connection)
            trial_memory.drop(connection)
            connection.execute(sa.update(schema_version).values(version=1))

    def open_and_import(number: int) -> None:
        with place.open(create=False) as store:
            assert store.counts().total == 1
            store.add_imported([ImportedRow("kind", {"number": number}, {})])

    in_threads(open_and_import, *((number,) for number in range(4)))
    with place.open(create=False) as store:
        assert sorted(row.key["number"] for row in store.imported("kind")) == [0, 1, 2, 3]
        assert store.costs(describe_all("a")) == costs
    assert [cost.cpu_s for cost in costs.values()] == [2.5]


# What trials cost


def finish(store: Store, name: str, cpu_s: float, peak_bytes: int | None = None) -> None:
    result = replace(outcome(), cpu_s=cpu_s)
    store.finish(claim_one(store, name), result, predictions(), peak_bytes=peak_bytes)


def test_costs_are_means_over_trials_alike_by_label_fraction(store: Store) -> None:
    alike = describe_all("a", "b")
    more = describe("c", label_fraction=1.0)
    others = [
        describe("d", task="other"),
        describe("e", model="other"),
        describe("f", protocol="knn"),
        describe("g", settings={"strengths": [0.1, 2.0], "nested": {"a": None}}),
    ]
    store.submit("one", [*alike, *others])
    store.submit("two", [more])
    for number, trial in enumerate([*alike, more, *others]):
        finish(store, trial.fingerprint, float(number))
    key = cost_key(describe("not there", facts={"other": 1}, repetition=9))
    assert store.costs([alike[0]]) == {(key, 0.1): MeasuredCost(2, 0.5), (key, 1.0): MeasuredCost(1, 2.0)}
    assert len({cost_key(trial) for trial in others} | {key}) == 5
    assert store.costs([describe("x", task="never run")]) == store.costs([]) == {}


def test_what_a_trial_cost_is_known_until_it_is_done_again(store: Store) -> None:
    store.submit("study", describe_all("a", "b"))
    finish(store, "a", 3.0)
    store.fail(claim_one(store, "b"), "error", "message")
    artifact = store.artifacts / str(store.records("study")[0].predictions_file)
    artifact.unlink()
    assert store.retry_damaged() == 1
    (before,) = store.costs(describe_all("a")).values()
    finish(store, "a", 5.0)
    (after,) = store.costs(describe_all("a")).values()
    assert (before, after) == (MeasuredCost(1, 3.0), MeasuredCost(1, 5.0))


def test_memory_is_the_most_of_trials_alike_that_were_measured(store: Store) -> None:
    alike = describe_all("a", "b", "c")
    others = [describe("d", label_fraction=1.0), describe("e", task="other")]
    store.submit("study", [*alike, *others])
    large = 5 << 40
    for name, peak_bytes in (("a", large - 1), ("b", large), ("c", None), ("d", None), ("e", 2 * large)):
        finish(store, name, 1.0, peak_bytes)
    key = cost_key(alike[0])
    assert store.costs(alike) == {(key, 0.1): MeasuredCost(3, 1.0, large), (key, 1.0): MeasuredCost(1, 1.0)}
    assert [cost.peak_bytes for cost in store.costs(others[1:]).values()] == [2 * large]


def test_memory_is_known_until_it_is_measured_again(store: Store) -> None:
    store.submit("study", describe_all("a"))
    found = []
    for number, peak_bytes in enumerate((900, None, 700)):
        finish(store, "a", float(number), peak_bytes)
        found += store.costs(describe_all("a")).values()
        (store.artifacts / str(store.records("study")[0].predictions_file)).unlink()
        assert store.retry_damaged() == 1
    assert found == [MeasuredCost(1, 0.0, 900), MeasuredCost(1, 1.0, 900), MeasuredCost(1, 2.0, 700)]


def test_memory_is_no_part_of_a_record(store: Store) -> None:
    store.submit("study", describe_all("a", "b"))
    finish(store, "a", 1.0, 900)
    finish(store, "b", 1.0)
    first, second = store.records("study")
    assert first.outcome == second.outcome
    assert first.predictions_sha256 == second.predictions_sha256


def test_costs_of_any_names_and_of_settings_in_any_order(store: Store) -> None:
    settings = {FOREIGN: [FOREIGN, 1.5], "b": (1, 2)}
    store.submit("study", [describe("a", task=FOREIGN, settings=settings)])
    finish(store, "a", 1.0)
    same = describe("z", task=FOREIGN, settings={"b": [1, 2], FOREIGN: (FOREIGN, 1.5)})
    assert [cost.cpu_s for cost in store.costs([same]).values()] == [1.0]


# Counting


def test_counts_are_the_same_on_either_way_of_counting(store: Store, let_leases_expire) -> None:
    store.submit("mine", describe_all(*"abcdefgh"))
    for name in "abc":
        finish(store, name, 1.0)
    store.fail(claim_one(store, "d"), "error", "message")
    for name in "ef":
        claim_one(store, name)
    expected = Counts(done=3, running=2, pending=2, failed=1)
    assert store.counts("mine") == expected, "fewer trials are open than the study has"
    store.submit("theirs", describe_all(*"habcd", *(f"x{number}" for number in range(10))))
    assert store.counts("mine") == expected, "more trials are open than the study has"
    assert store.counts("theirs") == Counts(done=3, running=0, pending=11, failed=1)
    assert store.counts() == Counts(done=3, running=2, pending=12, failed=1)
    let_leases_expire()
    assert store.counts("mine") == Counts(done=3, running=0, pending=4, failed=1)
    store.submit("none", [])
    assert store.counts("none") == Counts(0, 0, 0, 0)


# What other people published


def test_imported_rows_come_back_exactly_in_their_order(store: Store) -> None:
    rows = [ImportedRow("kind", {"name": name, "text": FOREIGN}, {"value": 0.1 + 0.2}) for name in "cab"]
    assert store.add_imported(rows) == ImportCounts(new=3, unchanged=0, revised=0)
    found = store.imported("kind")
    assert [(row.key, row.content) for row in found] == [(row.key, row.content) for row in rows]
    assert store.add_imported(rows[:2]) == ImportCounts(new=0, unchanged=2, revised=0)
    assert store.verify() == []


def test_a_contradiction_takes_the_whole_import_back(store: Store) -> None:
    store.add_imported([ImportedRow("kind", {"name": "a"}, {"value": 1.0})])
    both = [ImportedRow("kind", {"name": name}, {"value": 2.0}) for name in "ba"]
    with pytest.raises(UsageError, match=r"value 1\.0 became 2\.0"):
        store.add_imported(both)
    assert len(store.imported("kind")) == 1
    assert store.add_imported(both, revise=True) == ImportCounts(new=1, unchanged=0, revised=1)
    assert {row.revision for row in store.imported("kind")} == {1, 2}


def test_many_import_the_same_at_once(place: Place) -> None:
    rows = [ImportedRow("kind", {"number": number}, {"value": number / 7}) for number in range(300)]
    counts: list[ImportCounts] = []

    def import_all(number: int) -> None:
        with place.open() as store:
            counts.append(store.add_imported(rows if number % 2 else rows[::-1]))

    in_threads(import_all, *((number,) for number in range(4)))
    assert sorted(count.new for count in counts) == [0, 0, 0, 300]
    with place.open(create=False) as store:
        assert len(store.imported("kind")) == 300


def in_threads(function: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Call a function at the same time with each tuple of arguments; raise what any of the calls raises."""
    barrier = threading.Barrier(len(arguments))

    def call(*values: Any) -> None:
        barrier.wait()
        function(*values)

    with ThreadPoolExecutor(len(arguments)) as pool:
        for future in [pool.submit(call, *values) for values in arguments]:
            future.result()


def test_many_open_a_new_store_at_once(place: Place) -> None:
    def open_and_submit(number: int) -> None:
        with place.open() as store:
            store.submit(f"study-{number}", describe_all("a", f"own-{number}"))

    in_threads(open_and_submit, *((number,) for number in range(4)))
    with place.open(create=False) as store:
        assert sorted(store.studies()) == [f"study-{number}" for number in range(4)]
        assert store.counts().total == 5


def test_runners_share_the_trials_whatever_order_they_ask_in(place: Place) -> None:
    names = [f"trial-{number:02}" for number in range(40)]
    with place.open() as store:
        store.submit("study", describe_all(*names))
    granted: list[str] = []

    def run(owner: str, wanted: list[str]) -> None:
        with place.open() as store:
            for start in range(0, len(wanted), 5):
                for claim in store.claim(wanted[start : start + 5], owner, LEASE_S):
                    granted.append(claim.fingerprint)
                    store.heartbeat([claim], LEASE_S)
                    store.fail(claim, "none", "message")

    in_threads(run, ("a", names), ("b", names[::-1]), ("c", names[20:] + names[:20]), ("d", names))
    assert sorted(granted) == names


def test_threads_take_turns_on_one_store(store: Store) -> None:
    names = [f"t{number}" for number in range(8)]
    store.submit("study", describe_all(*names))

    def run(name: str) -> None:
        claim = claim_one(store, name)
        store.heartbeat([claim], LEASE_S)
        store.finish(claim, outcome(), predictions())

    in_threads(run, *((name,) for name in names))
    assert store.counts().done == 8


def test_one_statement_limit_does_not_limit_a_study(store: Store) -> None:
    names = [f"{number:04}" for number in range(1203)]
    store.submit("study", describe_all(*names))
    claims = store.claim(names, "me", LEASE_S)
    assert [claim.fingerprint for claim in claims] == names
    store.heartbeat(claims, LEASE_S)
    store.release(claims[:601])
    assert store.counts() == Counts(done=0, running=602, pending=601, failed=0)
    assert store.expire_owner("me") == 602
    assert set(store.states(names).values()) == {State.PENDING}
