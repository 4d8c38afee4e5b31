"""R8: whether a trial costs more in a store that already holds much, and in the report of a large study."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmarks.contest import Arm, Contest, Goal, Verdict
from medtransfer.core.fingerprints import hash_json
from medtransfer.reports.write_report import write_report
from medtransfer.store.owners import this_owner
from medtransfer.store.records import Outcome, State, TrialDescription
from medtransfer.store.rows import outcome_json
from medtransfer.store.store import Store
from medtransfer.store.trial_costs import cost_key
from medtransfer.study.paced_counts import PacedCounts

SMALL, LARGE = 100, 100_000
NEW_TRIALS = 20
"""Trials of the study that is run in each store."""
OPEN_TRIALS = 10
"""Trials of the filling study that are made pending again."""
LEASE_S = 60.0
PEAK_BYTES = 1 << 30
"""What every trial is said to have held at most."""
GOAL = Goal(1.2, at_least=False)
HISTORY = "history"
"""Study whose trials fill a store."""
REPORTED = "reported"
"""Study whose report is written."""
FEW_TASKS, MANY_TASKS = 2, 6
"""Target tasks of a small and of a large study; each has a trial per model, label fraction and repetition."""
MODELS, FEW_MODELS, REPETITIONS = 10, 2, 5
"""Source models of a reported study, those of a quick one, and repetitions of both."""
FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Label fractions of a reported study."""
TEST_CASES = 100
"""Test cases of each of its tasks."""

_numbers = itertools.count()


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield the contests: a new study, a finished study again, and both for the store's one huge study."""
    sizes = {"small": SMALL // 10, "large": SMALL} if quick else {"small": SMALL, "large": LARGE}
    stores = {name: filled_store(folder / name, size) for name, size in sizes.items()}
    yield _contest("new study: submit, claim, finish", stores, run_new_study, NEW_TRIALS)
    finished = descriptions(sizes["small"], HISTORY)
    for store in stores.values():
        store.submit("finished", finished)
    yield _contest(
        "finished study again",
        stores,
        partial(run_again, study="finished", trials=finished),
        sizes["small"],
    )
    large, small = (_history_again(stores[name], size) for name, size in reversed(sizes.items()))
    yield Contest(f"finished study of {sizes['large']} again", large, small, GOAL, _verdict)
    yield _contest("open trials of the study that fills the store", stores, run_in_history, OPEN_TRIALS)
    yield _contest("plan and status of a new study", stores, look_at_new_study, NEW_TRIALS)
    for store in stores.values():
        store.close()
    models = FEW_MODELS if quick else MODELS
    studies = [reported_store(folder / f"{tasks} tasks", tasks, models) for tasks in (MANY_TASKS, FEW_TASKS)]
    many, few = (_report_arm(store) for store in studies)
    yield Contest("report of a finished study", many, few, GOAL, _verdict)
    for store in studies:
        store.close()


def descriptions(number: int, study: str) -> list[TrialDescription]:
    """Return trials as a study of probes declares them, the same for the same arguments."""
    first = TrialDescription(
        fingerprint="",
        task="chest-findings",
        model="resnet50.sup_in1k",
        protocol="linear",
        settings={"image_size": 224, "strengths": [10.0**power for power in range(-5, 5)]},
        label_fraction=0.1,
        repetition=0,
        varied=("label subset",),
        facts={"kind": "binary", "classes": ["no", "yes"], "metrics": ["auc"], "data_hash": "0" * 64},
    )
    return [
        replace(first, fingerprint=hash_json([study, each]), repetition=each % 5, model=f"model{each // 5}")
        for each in range(number)
    ]


def outcome() -> Outcome:
    """Return what a trial with a training curve stores, about 4 kB."""
    values = {"auc": {"value": 0.8125, "note": None, "per_class": {"yes": 0.8125}}}
    point = {"train_loss": 0.5, "val_loss": 0.625, "val_metric": 0.75, "learning_rate": 3e-4}
    return Outcome(
        metrics={"val": values, "test": values},
        train_cases=100,
        choices={"strength": 0.01},
        curve=[{"epoch": epoch, **point} for epoch in range(30)],
        provenance={"versions": {"torch": "2"}, "command": "medtransfer run study.yaml"},
    )


def predictions() -> pd.DataFrame:
    """Return a small test set's predictions; every call a little different, so that a file is written."""
    number = next(_numbers)
    scores = [(case * 37 + number) % 1009 / 1009 for case in range(200)]
    cases = [f"case-{case}" for case in range(200)]
    return pd.DataFrame({"case_id": cases, "patient_id": cases, "label": 0, "score:yes": scores})


def filled_store(folder: Path, number: int) -> Store:
    """Return a store with a study of so many finished trials, written to the database directly."""
    store = Store.open(folder)
    trials = descriptions(number, HISTORY)
    store.submit(HISTORY, trials)
    with closing(sqlite3.connect(store.name)) as database, database:
        database.execute(
            "update trials set state = 'done', epoch = 1, attempts = 1, outcome = ?, finished_at = 0, "
            "predictions_file = 'predictions/' || fingerprint || '.parquet', predictions_sha256 = fingerprint",
            (outcome_json(outcome()),),
        )
        keys = [(trial.fingerprint, cost_key(trial), trial.label_fraction) for trial in trials]
        database.executemany("insert into trial_costs values (?, ?, ?, ?)", [(*key, 1.0) for key in keys])
        database.executemany(
            "insert into trial_memory values (?, ?, ?, ?)", [(*key, PEAK_BYTES) for key in keys]
        )
    return store


def reported_descriptions(tasks: int, models: int) -> list[TrialDescription]:
    """Return the trials of a study that is reported, the same for the same arguments."""
    (first,) = descriptions(1, REPORTED)
    facts = {
        **first.facts,
        "primary_metric": "auc",
        "split_counts": {"train": 1000, "val": 100, "test": TEST_CASES},
        "overlap": "clean",
        "weights_hash": "0" * 64,
    }
    places = itertools.product(range(tasks), FRACTIONS, range(models), range(REPETITIONS))
    return [
        replace(
            first,
            fingerprint=hash_json([REPORTED, *place]),
            task=f"task-{place[0]}",
            model=f"model-{place[2]:02}",
            label_fraction=place[1],
            repetition=place[3],
            facts=facts,
        )
        for place in places
    ]


def reported_store(folder: Path, tasks: int, models: int) -> Store:
    """Return a store with a finished study; its trials share one file of predictions."""
    store = Store.open(folder)
    trials = reported_descriptions(tasks, models)
    store.submit(REPORTED, trials)
    (claim,) = store.claim([trials[0].fingerprint], this_owner(), LEASE_S)
    store.finish(claim, outcome(), _test_predictions())
    with closing(sqlite3.connect(store.name)) as database, database:
        written = "select predictions_file, predictions_sha256 from trials where state = 'done'"
        file = database.execute(written).fetchone()
        database.executemany(
            "update trials set state = 'done', epoch = 1, attempts = 1, outcome = ?, finished_at = 0, "
            "predictions_file = ?, predictions_sha256 = ? where fingerprint = ?",
            [
                (outcome_json(_with_auc(number)), *file, trial.fingerprint)
                for number, trial in enumerate(trials)
            ],
        )
    return store


def write_new_report(store: Store) -> bool:
    """Write the report of a study where there was none, and look whether everything is in it."""
    with TemporaryDirectory() as folder:
        files = write_report(store, REPORTED, Path(folder) / "report", command="medtransfer report")
        lines = files.runs_csv.read_text().count("\n")
    subjects = len(files.reading.tasks) + len(files.reading.models)
    return lines == 1 + store.counts(REPORTED).done and len(files.pages) == 2 + subjects


def run_new_study(store: Store) -> bool:
    """Submit a study and take each of its trials through its life, as the runner does."""
    name = f"study-{next(_numbers)}"
    trials = descriptions(NEW_TRIALS, name)
    store.submit(name, trials)
    store.states([trial.fingerprint for trial in trials])
    return _run(store, name, trials)


def run_in_history(store: Store) -> bool:
    """Take trials of the filling study that were made pending again through their life."""
    trials = descriptions(OPEN_TRIALS, HISTORY)
    names = [(trial.fingerprint,) for trial in trials]
    with closing(sqlite3.connect(store.name)) as database, database:
        database.executemany("update trials set state = 'pending' where fingerprint = ?", names)
    return _run(store, HISTORY, trials)


def look_at_new_study(store: Store) -> bool:
    """Ask what a dry run and a status ask about a study of the same settings as those that fill the store."""
    trials = descriptions(NEW_TRIALS, "looked at")
    store.submit("looked at", trials)
    states = store.states([trial.fingerprint for trial in trials])
    known = store.costs(trial for trial in trials if states[trial.fingerprint] is not State.DONE)
    counts, failed = store.counts("looked at"), store.records("looked at", states=[State.FAILED])
    return (
        counts.pending == len(trials)
        and not failed
        and {key for key, _ in known} == set(map(cost_key, trials))
    )


def run_again(store: Store, study: str, trials: Sequence[TrialDescription]) -> bool:
    """Do what running a finished study again asks of its store, its records for the report included."""
    names = [trial.fingerprint for trial in trials]
    store.states(names)
    store.submit(study, trials)
    store.owners()
    waiting = [name for name, state in store.states(names).items() if state is not State.DONE]
    counts = store.counts(study)
    records = store.records(study)
    return not waiting and counts.done == len(records) == len(trials)


def _history_again(store: Store, size: int) -> Arm:
    trials = descriptions(size, HISTORY)
    return Arm(f"{size} trials", partial(run_again, store, HISTORY, trials), size)


def _report_arm(store: Store) -> Arm:
    trials = store.counts(REPORTED).done
    return Arm(f"{trials} trials", partial(write_new_report, store), trials)


def _with_auc(number: int) -> Outcome:
    """Return an outcome whose values differ from trial to trial, in steps of 0.001 from 0.6 to 0.8."""
    found = outcome()
    value = 0.6 + number * 37 % 201 / 1000
    auc = {"value": value, "note": None, "per_class": {"yes": value}}
    return replace(found, metrics={"val": {"auc": auc}, "test": {"auc": auc}})


def _test_predictions() -> pd.DataFrame:
    frame = predictions().head(TEST_CASES)
    score = frame["score:yes"]
    truth = [int(case % 3 == 0) for case in range(TEST_CASES)]
    return frame.assign(**{"checkpoint": "best", "split": "test", "label": truth, "score:no": 1 - score})


def _run(store: Store, study: str, trials: Sequence[TrialDescription]) -> bool:
    counts = PacedCounts(store, study, lambda _: None)
    for trial in trials:
        store.owners()
        (claim,) = store.claim([trial.fingerprint], this_owner(), LEASE_S)
        counts.tell(at_once=True)
        store.finish(claim, outcome(), predictions(), peak_bytes=PEAK_BYTES)
    return set(store.states([trial.fingerprint for trial in trials]).values()) == {State.DONE}


def _contest(name: str, stores: Mapping[str, Store], work: Callable[[Store], bool], units: int) -> Contest:
    large, small = (Arm(f"{key} store", partial(work, stores[key]), units) for key in ("large", "small"))
    return Contest(name, large, small, GOAL, _verdict)


def _verdict(results: Mapping[str, Any]) -> Verdict:
    return Verdict(all(results.values()))
