from __future__ import annotations

import csv
import io
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.evidence import Evidence
from medtransfer.reports.renderers.csv_files import (
    RESULT_COLUMNS,
    guarded,
    read_rows,
    render_results_csv,
    render_runs_csv,
    unguarded,
)
from medtransfer.reports.study_reading import read_study
from medtransfer.stats.summaries import summarise_runs


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=x", "  =x", "'=x", "'x", "''", "'"]
)
def test_dangerous_text_is_guarded_and_reads_back(text: str) -> None:
    assert guarded(text).startswith("'")
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["resnet50", "a=b", "1e-5", "", "file:…/x"])
def test_harmless_text_stays(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


def test_formula_names_are_guarded_in_the_files(hostile_reading: Any) -> None:
    for text in (render_results_csv(hostile_reading), render_runs_csv(hostile_reading)):
        raw = [value for row in csv.reader(io.StringIO(text, newline="")) for value in row]
        assert "'=HYPERLINK(1)" in raw
        assert not any(value.startswith(("=", "@", "\t", "\r")) for value in raw)
        assert "=HYPERLINK(1)" in {row["model"] for row in read_rows(text)}
        assert "canary" not in text


def test_numbers_are_exact_and_negative_numbers_stay_numbers(reading: Any) -> None:
    rows = [
        row
        for row in read_rows(render_results_csv(reading))
        if (row["task"], row["model"], row["protocol"])
        == ("drive-vessel", "mobilenetv1_100.sup_in1k", "finetune")
        and (row["label_fraction"], row["metric"], row["checkpoint"], row["split"])
        == ("1.0", "dice", "best", "test")
    ]
    assert len(rows) == 1
    values = [
        float(row["test.best.dice"])
        for row in read_rows(render_runs_csv(reading))
        if (row["task"], row["model"]) == ("drive-vessel", "mobilenetv1_100.sup_in1k")
        and (row["protocol"], row["label_fraction"]) == ("finetune", "1.0")
    ]
    summary = summarise_runs(values)
    row = rows[0]
    assert (int(row["n"]), float(row["mean"]), float(row["std"])) == (5, summary.mean, summary.std)
    assert (float(row["low"]), float(row["high"]), row["interval"]) == (
        summary.low,
        summary.high,
        "training runs",
    )


def test_one_row_per_number_and_all_columns(reading: Any) -> None:
    rows = read_rows(render_results_csv(reading))
    names = (
        "task",
        "data_hash",
        "protocol",
        "settings_hash",
        "label_fraction",
        "model",
        "metric",
        "checkpoint",
        "split",
    )
    keys = [tuple(row[name] for name in names) for row in rows]
    assert len(keys) == len(set(keys))
    assert tuple(rows[0]) == RESULT_COLUMNS


def test_nulls_are_empty_and_never_zero(reading: Any) -> None:
    rows = read_rows(render_results_csv(reading))
    same = [row for row in rows if row["overlap"] == "same"]
    assert same
    assert all((row["mean"], row["low"], row["n"]) == ("", "", "0") for row in same)
    single = [
        row
        for row in rows
        if (row["task"], row["model"], row["protocol"]) == ("dermamnist", "resnet20.random", "finetune")
    ]
    assert single
    assert all((row["std"], row["low"], row["interval"], row["n"]) == ("", "", "none", "1") for row in single)
    assert all(row["interval"] in ("training runs", "test patients", "none") for row in rows)
    failed = [row for row in read_rows(render_runs_csv(reading)) if row["state"] == "failed"]
    assert len(failed) == 7
    assert all(row["test.best.auc"] == "" and row["reason"] for row in failed)


def test_an_interrupted_study_gives_the_same_bytes(disturbed_reading: Any, reading: Any) -> None:
    """Order, attempts, owners, times and durations of the records leave no trace."""
    assert render_results_csv(disturbed_reading) == render_results_csv(reading)
    assert render_runs_csv(disturbed_reading) == render_runs_csv(reading)


def test_rows_stand_in_one_order_even_where_only_metrics_tell_cells_apart(synthetic: ModuleType) -> None:
    """Two versions of a task that differ in what is measured have cells that share every name."""
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[0]
    for repetition in range(2):
        for model in list(synthetic.MODELS)[:2]:
            maker.add(task, model, "finetune", repetition=repetition)
    facts = maker.records[0].description.facts
    fewer = {**facts, "metrics": [facts["primary_metric"]]}
    again = [
        replace(
            r, description=replace(r.description, facts=fewer, fingerprint=f"f{r.description.fingerprint}")
        )
        for r in maker.records
    ]
    frames = maker.frames | {
        r.description.fingerprint: maker.frames[r.description.fingerprint[1:]] for r in again
    }
    records = [*maker.records, *again]
    reading = read_study(Evidence("s", records, lambda r: frames[r.description.fingerprint]))
    assert len(reading.tasks) == 2
    names = ("task", "data_hash", "protocol", "settings_hash")
    more = ("model", "weights_hash", "metric", "checkpoint", "split")
    rows = read_rows(render_results_csv(reading))
    assert rows == sorted(rows, key=lambda row: [row[name] for name in (*names, *more)])
    assert len({tuple(row[name] for name in (*names, *more)) for row in rows}) < len(rows)
    runs = read_rows(render_runs_csv(reading))
    assert len(runs) == len(records)
    order = [(row["model"], row["weights_hash"], int(row["repetition"]), row["fingerprint"]) for row in runs]
    assert order == sorted(order)
