"""Kept records: equal to the whole ones, parts shared, and small."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.evidence import Evidence, read_evidence, settings_hash
from medtransfer.reports.kept_records import RecordKeeper
from medtransfer.reports.renderers.json_file import render_json
from medtransfer.reports.study_reading import read_study
from medtransfer.store.records import Outcome, Record, State, TrialDescription
from medtransfer.store.store import Store

TRICKY = {
    "whole": 3,
    "negative zero": -0.0,
    "zero": 0,
    "truth": True,
    "nothing": None,
    "beyond floats": 2**53 + 1,
    "text": "float",
    "deep": [1, 1.0, [], {}, {"a": [None, False, "int", -7, 5e-324, 1.7976931348623157e308]}],
}


def _plain(value: Any) -> Any:
    """Return a JSON value as JSON text tells it, in which 1, 1.0, -0.0 and true differ."""
    if hasattr(value, "items"):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else json.dumps(value)


def _whole(record: Record) -> dict[str, Any]:
    outcome = record.outcome
    parts = {} if outcome is None else {f.name: getattr(outcome, f.name) for f in fields(outcome)}
    parts = {name: list(value) if name == "curve" else value for name, value in parts.items()}
    rest = asdict(replace(record, outcome=None, description=replace(record.description, facts={})))
    return {"rest": rest, "facts": _plain(record.description.facts), "outcome": _plain(parts)}


def _record(number: int, settings: int = 0) -> Record:
    """Return a record of a fine-tuned trial as a store makes it: nothing in it is shared with another."""
    values = {"value": number / 7, "note": None, "per_class": {"a": number / 3, "b": number / 11}}
    description = TrialDescription(
        fingerprint=f"{number:064}",
        task="task",
        model="model",
        protocol="finetune",
        settings={"epochs": 30, "rate": 0.1, "number": settings},
        label_fraction=0.5,
        repetition=number,
        varied=("training",),
        facts={
            "kind": "multi-class",
            "classes": [f"class {each}" for each in range(14)],
            "citation": "x" * 300,
        },
    )
    outcome = Outcome(
        metrics={split: dict.fromkeys(("auc", "accuracy"), values) for split in ("val", "test")},
        train_cases=10,
        choices={"epoch": number},
        curve=[{"epoch": epoch, "train_loss": number / (epoch + 1), "val_loss": None} for epoch in range(30)],
        details={"cases_seen": 1000 + number, **TRICKY},
        provenance={"versions": {f"package {each}": "1.0" for each in range(20)}},
    )
    plain = json.loads(json.dumps(asdict(outcome)))
    again = json.loads(json.dumps(asdict(description))) | {"varied": ("training",)}
    return Record(TrialDescription(**again), State.DONE, Outcome(**plain), finished_at="2026-01-01T00:00:00Z")


def test_kept_records_say_what_the_whole_ones_say(synthetic: ModuleType) -> None:
    keeper = RecordKeeper()
    records = [*synthetic.full_study().records, *synthetic.hostile_study().records, *map(_record, range(3))]
    assert {record.state for record in records} >= {State.DONE, State.FAILED}
    for record in records:
        assert _whole(keeper.keep(record)) == _whole(record)


def test_parts_of_a_kept_outcome_can_be_asked_for_one_by_one() -> None:
    outcome = RecordKeeper().keep(_record(5)).outcome
    assert outcome is not None
    assert "deep" in outcome.details
    assert "shallow" not in outcome.details
    assert outcome.details.get("shallow") is None
    assert len(outcome.details) == len(TRICKY) + 1
    assert outcome.metrics["test"]["accuracy"]["per_class"]["b"] == 5 / 11
    assert (len(outcome.curve), outcome.curve[29]) == (
        30,
        {"epoch": 29, "train_loss": 5 / 30, "val_loss": None},
    )
    with pytest.raises(KeyError):
        outcome.metrics["train"]


def test_what_trials_have_in_common_is_kept_once() -> None:
    keeper = RecordKeeper()
    first, second, other = (keeper.keep(_record(number, number // 2)) for number in range(3))
    assert first.description.facts is second.description.facts is other.description.facts
    assert first.description.settings is second.description.settings
    assert first.description.settings != other.description.settings
    assert settings_hash(first) == settings_hash(_record(0)) != settings_hash(other)
    assert first.outcome is not None
    assert second.outcome is not None
    assert first.outcome.provenance is second.outcome.provenance
    assert first.outcome.metrics != second.outcome.metrics


def _bytes_per_record(make: Callable[[int], Record]) -> float:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [make(number) for number in range(200)]
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()


def test_a_kept_record_takes_a_small_part_of_a_whole_one() -> None:
    keeper = RecordKeeper()
    keeper.keep(_record(0))
    kept, whole = _bytes_per_record(lambda number: keeper.keep(_record(number))), _bytes_per_record(_record)
    assert kept < 3000  # 120 numbers and the texts of one trial
    assert whole > 5 * kept


def test_whole_records_of_a_store_are_let_go_one_by_one(tmp_path: Path, synthetic: ModuleType) -> None:
    maker = synthetic.full_study()
    alive = []

    def keep(record: Record) -> Record:
        alive.append(sum(type(each) is TrialDescription for each in gc.get_objects()) - made)
        return replace(record, description=None)  # type: ignore[arg-type]

    with Store.open(tmp_path) as store:
        store.submit("s", [record.description for record in maker.records])
        made = sum(type(each) is TrialDescription for each in gc.get_objects())
        kept = store.records("s", keep=keep)
    assert len(kept) == len(alive) == len(maker.records) > 20
    assert max(alive) <= 2


def test_a_report_of_kept_records_is_that_of_whole_ones(tmp_path: Path, synthetic: ModuleType) -> None:
    maker = synthetic.full_study()
    with Store.open(tmp_path) as store:
        store.submit("first-light", [record.description for record in maker.records])
        for record in maker.records:
            (claim,) = store.claim([record.description.fingerprint], "owner:1", 60.0)
            if record.reason is not None:
                store.fail(claim, record.reason, record.message)
            elif record.outcome is not None:
                store.finish(claim, record.outcome, maker.frames[record.description.fingerprint])
        whole = Evidence("first-light", store.records("first-light"), store.predictions)
        kept = read_evidence(store, "first-light")
        assert render_json(read_study(kept)) == render_json(read_study(whole))
