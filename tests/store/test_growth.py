"""What is asked of a store often must not read what other studies have left there: rows are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from medtransfer.store.records import Counts, Outcome, State, TrialDescription
from medtransfer.store.rows import outcome_json
from medtransfer.store.schema import trials
from medtransfer.store.store import Store

MINE = [TrialDescription(f"m{n}", "task", "model", "linear", {}, 1.0, n, ()) for n in range(8)]
OPEN_MINE = 3
LEASE_S = 600.0


def fill(store: Store, others: int, state: str, *, in_my_study: bool) -> None:
    """Submit my study, and so many trials in one state that are another study's, or mine too."""
    theirs = [replace(MINE[0], fingerprint=f"x{number:05}") for number in range(others)]
    store.submit("mine", [*MINE, *theirs] if in_my_study else MINE)
    if not in_my_study:
        store.submit("theirs", theirs)
    settled = {"state": state, "outcome": outcome_json(Outcome({}, 1)), "predictions_file": "file"}
    done = {**settled, "state": "done"}
    with store._database.writing() as connection:
        connection.execute(sa.update(trials).where(trials.c.fingerprint.like("x%")).values(settled))
        names = [trial.fingerprint for trial in MINE[OPEN_MINE:]]
        connection.execute(sa.update(trials).where(trials.c.fingerprint.in_(names)).values(done))


def steps(store: Store, ask: Callable[[Store], Any]) -> int:
    """Return how many instructions SQLite's machine takes to answer; they grow with every row looked at."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    with store._database.reading() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
    raw.set_progress_handler(step, 1)
    try:
        ask(store)
    finally:
        raw.set_progress_handler(None, 0)
    return count[0]


QUESTIONS: dict[str, Callable[[Store], Any]] = {
    "counts": lambda store: store.counts("mine"),
    "failed trials": lambda store: store.records("mine", states=[State.FAILED]),
    "records": lambda store: store.records("mine"),
    "states": lambda store: store.states([trial.fingerprint for trial in MINE]),
    "costs": lambda store: store.costs(replace(trial, task="mine alone") for trial in MINE),
    "owners": lambda store: store.owners(),
    "source and plan": lambda store: (store.study_source("mine"), store.study_plan("mine")),
    "a claim": lambda store: store.release(store.claim(["m0"], "me", LEASE_S)),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("state", ["done", "failed", "pending"])
def test_a_study_does_not_read_what_others_left(tmp_path: Path, question: str, state: str) -> None:
    taken = []
    for others in (50, 1000):
        with Store.open(tmp_path / str(others)) as store:
            fill(store, others, state, in_my_study=False)
            taken.append(steps(store, QUESTIONS[question]))
    assert taken[1] <= 1.05 * taken[0] + 5


def test_counting_a_study_that_is_nearly_done_looks_at_its_open_trials(tmp_path: Path) -> None:
    taken = []
    for others in (50, 1000):
        with Store.open(tmp_path / str(others)) as store:
            fill(store, others, "done", in_my_study=True)
            taken.append(steps(store, lambda store: store.counts("mine")))
            assert store.counts("mine") == Counts(done=others + 5, running=0, pending=OPEN_MINE, failed=0)
    assert taken[1] <= taken[0]


def test_the_failed_trials_of_a_whole_store_are_found_without_the_others(tmp_path: Path) -> None:
    taken = []
    for others in (50, 1000):
        with Store.open(tmp_path / str(others)) as store:
            fill(store, others, "done", in_my_study=False)
            taken.append(steps(store, lambda store: store.records(states=[State.FAILED])))
    assert taken[1] <= taken[0]


def test_the_measure_itself_sees_rows_that_are_read(tmp_path: Path) -> None:
    taken = []
    for others in (50, 1000):
        with Store.open(tmp_path / str(others)) as store:
            fill(store, others, "done", in_my_study=False)
            taken.append(steps(store, lambda store: store.records()))
    assert taken[1] > 5 * taken[0]
