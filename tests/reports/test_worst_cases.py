from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.case_errors import CaseErrors
from medtransfer.reports.document import Gallery, Paragraph
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.table import Table
from medtransfer.reports.worst_cases import MOST_CASES, _rule, _truth, worst_cases


def _task(reading: Any, name: str) -> Any:
    return next(task for task in reading.tasks.values() if task.name == name)


def _errors(reading: Any, frames: Any, task: str, of_run: Any) -> tuple[list[str], np.ndarray]:
    """Return case ids and, per cell with all labels, the error of each case by an own formula."""
    cells: dict[tuple[str, str], list[Any]] = {}
    for record in reading.records:
        d = record.description
        if record.outcome and d.task == task and d.label_fraction == 1.0 and d.facts["overlap"] != "same":
            frame = frames[d.fingerprint]
            test = frame[(frame["checkpoint"] == "best") & (frame["split"] == "test")]
            cells.setdefault((d.model, d.protocol), []).append(test.sort_values("case_id"))
    ids = list(dict.fromkeys(next(iter(cells.values()))[0]["case_id"]))
    return ids, np.array([np.mean([of_run(run) for run in runs], axis=0) for runs in cells.values()])


def _order(ids: list[str], errors: np.ndarray) -> list[str]:
    medians, means = np.median(errors, axis=0), errors.mean(axis=0)
    return [ids[i] for i in sorted(range(len(ids)), key=lambda i: (-medians[i], -means[i], ids[i]))]


def _of_classes(run: Any) -> Any:
    scores = run[[c for c in run.columns if c.startswith("score:")]].to_numpy()
    return 1 - scores[np.arange(len(run)), run["label"].to_numpy()]


def _of_labels(run: Any) -> Any:
    names = [c.removeprefix("score:") for c in run.columns if c.startswith("score:")]
    return np.mean([np.abs(run[f"label:{n}"] - run[f"score:{n}"]).to_numpy() for n in names], axis=0)


def _of_masks(run: Any) -> Any:
    tp, fp, fn = (run[c].to_numpy() for c in ("true_positive", "false_positive", "false_negative"))
    return 1 - 2 * tp / (2 * tp + fp + fn)


@pytest.mark.parametrize(
    ("task", "of_run"),
    [
        ("breastmnist", _of_classes),
        ("dermamnist", _of_classes),
        ("phantom-chest", _of_labels),
        ("drive-vessel", _of_masks),
    ],
)
def test_the_cases_are_those_with_the_largest_median_error(
    reading: Any, synthetic: ModuleType, task: str, of_run: Any
) -> None:
    rule, table = worst_cases(reading, _task(reading, task), None)
    assert isinstance(rule, Paragraph)
    assert isinstance(table, Table)
    ids, errors = _errors(reading, synthetic.full_study().frames, task, of_run)
    assert [row[0].text for row in table.rows] == _order(ids, errors)[:MOST_CASES]
    number = [column.title for column in table.columns].index("Median error")
    medians = sorted(np.median(errors, axis=0), reverse=True)[:MOST_CASES]
    assert [row[number].value for row in table.rows] == pytest.approx(medians, abs=1e-6)
    assert f"over {len(errors)} results" in rule.text


def test_truth_and_answers_are_shown(reading: Any) -> None:
    _, table = worst_cases(reading, _task(reading, "dermamnist"), None)
    row = table.rows[0]
    assert row[1].text in ("naevus", "melanoma", "other")
    assert row[3].text.startswith("wrong in ")
    assert "of 8 results" in row[3].text
    assert len(row[3].details) == 5
    assert row[3].details[-1] == "and 4 more results"
    _, masks = worst_cases(reading, _task(reading, "drive-vessel"), None)
    assert [column.title for column in masks.columns] == ["Test case", "Median error", "What the results say"]
    assert masks.rows[0][2].text.startswith("Dice 0.")


def test_the_order_of_records_changes_nothing(reading: Any, disturbed_reading: Any) -> None:
    for name in ("breastmnist", "drive-vessel"):
        first = worst_cases(reading, _task(reading, name), None)[-1]
        second = worst_cases(disturbed_reading, _task(disturbed_reading, name), None)[-1]
        assert [r[0].text for r in first.rows] == [r[0].text for r in second.rows]


def test_pictures_are_asked_for_the_shown_cases_only(reading: Any) -> None:
    asked: list[tuple[str, list[str]]] = []

    def thumbnails(task: Any, case_ids: Any) -> dict[str, bytes]:
        asked.append((task.name, list(case_ids)))
        return {case_ids[0]: b"png"}

    _, gallery, table = worst_cases(reading, _task(reading, "breastmnist"), thumbnails)
    assert isinstance(gallery, Gallery)
    assert asked == [("breastmnist", [row[0].text for row in table.rows])]
    pictures = [picture for group in gallery.groups for picture in group]
    assert [picture.png for picture in pictures] == [b"png"] + [None] * (MOST_CASES - 1)
    assert pictures[0].lines[0] == table.rows[0][0].text
    assert pictures[0].lines[1] == f"truth: {table.rows[0][1].text}"


def test_labels_that_are_not_known_do_not_count_and_unlabelled_cases_never_appear(
    synthetic: ModuleType,
) -> None:
    maker = synthetic.StudyMaker()
    task = synthetic.MadeTask("chest", TaskKind.MULTI_LABEL, ("a", "b"), ("auc",), cases=30)
    record = maker.add(task, "resnet20.random", "linear", varied=())
    frame = maker.frames[record.description.fingerprint]
    frame[["label:a", "label:b"]] = frame[["label:a", "label:b"]].astype(float)
    test = frame["split"] == "test"
    worst = "test-003"
    frame.loc[test & (frame["case_id"] == worst), ["label:a", "label:b", "score:b"]] = [np.nan, 0.0, 1.0]
    frame.loc[test & (frame["case_id"] == "test-004"), ["label:a", "label:b"]] = np.nan
    frame.loc[test & (frame["case_id"] == "test-004"), ["score:a", "score:b"]] = 1.0
    reading = read_study(maker.evidence())
    _, table = worst_cases(reading, _task(reading, "chest"), None)
    assert (table.rows[0][0].text, table.rows[0][2].text) == (worst, "1.00")
    assert table.rows[0][1].text == "none of the known labels; a not known"
    assert "test-004" not in {row[0].text for row in table.rows}


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 0, 0, 0, 0], "none of the labels"),
        ([1, 0, 1, 0, 0], "a and c"),
        ([1.0, np.nan, 0.0, 1.0, 0.0], "a and d; b not known"),
        ([0.0, np.nan, np.nan, np.nan, np.nan], "none of the known labels; b, c, d and 1 more not known"),
        ([np.nan] * 5, "not known"),
    ],
)
def test_a_label_nobody_knows_is_not_called_absent(labels: list[float], text: str) -> None:
    task: Any = SimpleNamespace(kind=TaskKind.MULTI_LABEL, classes=tuple("abcde"))
    assert _truth(task, CaseErrors(("case",), np.array([labels])), 0) == text


def test_the_rule_says_that_only_scored_labels_count() -> None:
    task: Any = SimpleNamespace(kind=TaskKind.MULTI_LABEL, scored=())
    assert "the labels that are known. Such" in _rule(task, 2, 1)
    task.scored = ("a",)
    assert "the labels that are known and scored. Such" in _rule(task, 2, 1)


def test_ids_are_printed_safely_and_places_cut_out(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    task = synthetic.MadeTask("lesions", TaskKind.BINARY, ("a", "b"), ("auc",), cases=10)
    record = maker.add(task, "resnet20.random", "linear", varied=())
    frame = maker.frames[record.description.fingerprint]
    raw = f"{synthetic.CANARY_HOME}/a\u2028b{synthetic.HOSTILE}.png"
    frame.loc[frame["case_id"] == "test-001", "case_id"] = raw
    reading = read_study(maker.evidence())
    asked: list[str] = []

    def thumbnails(task: Any, case_ids: Any) -> dict[str, bytes]:
        asked.extend(case_ids)
        return {}

    parts = worst_cases(reading, _task(reading, "lesions"), thumbnails)
    assert synthetic.CANARY_HOME not in str(parts)
    assert "\u2028" not in str(parts)
    assert raw in asked, "pictures are found by the id as it is"


def test_a_study_without_predictions_has_no_cases(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add_failed(synthetic.TASKS[0], "resnet20.random", "finetune", "broken", "broken")
    reading = read_study(maker.evidence())
    assert worst_cases(reading, _task(reading, "breastmnist"), None) == []


def test_results_on_other_cases_are_refused(reading: Any) -> None:
    task = _task(reading, "breastmnist")
    panels = []
    for panel in reading.panels:
        rows = [
            replace(
                r, predictions=replace(r.predictions, cases=replace(r.predictions.cases, case_ids=("x",)))
            )
            if r.predictions.cases and panel.block.protocol == "linear"
            else r
            for r in panel.rows
        ]
        panels.append(replace(panel, rows=tuple(rows)))
    with pytest.raises(DataError, match="same test cases"):
        worst_cases(replace(reading, panels=tuple(panels)), task, None)
