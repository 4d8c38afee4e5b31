from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.ranks import NORMALISATION, ranks_table
from medtransfer.reports.tables.table import Table, TableCell


def _panel(reading: Any, protocol: str, fraction: float = 1.0) -> Any:
    return next(p for p in reading.panels if (p.block.protocol, p.fraction) == (protocol, fraction))


def _rows(table: Table) -> dict[str, tuple[TableCell, ...]]:
    return {row[0].text: row for row in table.rows}


def _runs(reading: Any, protocol: str) -> dict[str, dict[str, list[float]]]:
    """Return the AUC of every run by model, then by task."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in reading.records:
        d = record.description
        if d.protocol == protocol and record.outcome:
            value = record.outcome.metrics["test"]["auc"]["value"]
            found.setdefault(d.model, {}).setdefault(d.task, []).append(value)
    return found


def test_ranks_friedman_and_decisions_are_those_of_scipy(wide_reading: Any) -> None:
    table = ranks_table(wide_reading, _panel(wide_reading, "finetune"))
    runs = _runs(wide_reading, "finetune")
    models = list(runs)
    values = np.array([[np.mean(runs[m][t]) for m in models] for t in runs[models[0]]])
    ranks = stats.rankdata(-values, axis=1)
    rows = _rows(table)
    assert [row[1].value for row in table.rows] == sorted(row[1].value for row in table.rows)
    for place, model in enumerate(models):
        assert rows[model][1].value == pytest.approx(ranks[:, place].mean())
        low, high = (float(end) for end in rows[model][1].details[0].strip("[]").split(", "))
        assert low <= ranks[:, place].mean() <= high
        wins = [values[t, place] > values[t, o] for t in range(8) for o in range(4) if o != place]
        assert rows[model][2].value == pytest.approx(np.mean(wins))
    found = stats.friedmanchisquare(*values.T)
    text = " ".join(table.notes)
    assert f"(tie-corrected): chi-square = {found.statistic:.3f}" in text
    pairs = list(combinations(range(4), 2))
    raw = [stats.wilcoxon(values[:, a] - values[:, b], method="exact").pvalue for a, b in pairs]
    adjusted = multipletests(raw, method="holm")[1]
    for (a, b), p in zip(pairs, adjusted, strict=True):
        above = (
            (models[a], models[b]) if values[:, a].mean() > values[:, b].mean() else (models[b], models[a])
        )
        assert (f"{above[0]} above {above[1]} (p = {p:.3f})" in text) == (p < 0.05)
    assert (adjusted < 0.05).any()


def test_single_runs_decide_the_chance_of_outperforming_and_the_interquartile_mean(wide_reading: Any) -> None:
    rows = _rows(ranks_table(wide_reading, _panel(wide_reading, "finetune")))
    runs = _runs(wide_reading, "finetune")
    tasks = list(runs["resnet20.random"])
    for model in runs:
        chances = [
            np.mean([(a > b) + 0.5 * (a == b) for a in runs[model][t] for b in runs[other][t]])
            for t in tasks
            for other in runs
            if other != model
        ]
        assert rows[model][3].value == pytest.approx(np.mean(chances))
        scores = []
        for task in tasks:
            means = [np.mean(runs[m][task]) for m in runs]
            scores += [(v - min(means)) / (max(means) - min(means)) for v in runs[model][task]]
        assert rows[model][4].value == pytest.approx(stats.trim_mean(scores, 0.25))
        assert rows[model][4].details == ("24 runs",)


def test_the_normalisation_and_the_variant_are_named(wide_reading: Any) -> None:
    notes = ranks_table(wide_reading, _panel(wide_reading, "linear")).notes
    assert NORMALISATION in notes
    assert any("tie-corrected" in note for note in notes)
    assert not any("No critical-difference" in note for note in notes)


def test_deterministic_results_have_no_chance_over_runs(wide_reading: Any) -> None:
    table = ranks_table(wide_reading, _panel(wide_reading, "linear"))
    assert {(row[3].text, row[3].tone) for row in table.rows} == {("–", "absent")}


def test_incomplete_tasks_fall_out_and_are_named(reading: Any) -> None:
    table = ranks_table(reading, _panel(reading, "finetune"))
    assert table.caption.startswith("Source models over 2 complete tasks")
    assert table.notes[0] == (
        "2 of 4 tasks fell out: dermamnist (no value of resnet50.mocov2_ham10000) and drive-vessel (no value "
        "of squeezenet1_1.sup_in1k)."
    )
    assert table.notes[1].startswith(
        "No critical-difference diagram: it needs 6 complete tasks, there are 2."
    )
    assert any("approximate" in note for note in table.notes)


def test_where_lower_is_better_the_order_turns(
    wide: ModuleType, synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = wide.wide_study(synthetic, tasks=3, runs=2)
    upright = read_study(maker.evidence())
    ranks = {m: row[1].value for m, row in _rows(ranks_table(upright, _panel(upright, "finetune"))).items()}
    monkeypatch.setitem(metrics._entries, "auc", replace(metrics.get("auc"), higher_is_better=False))
    turned = read_study(maker.evidence())
    rows = _rows(ranks_table(turned, _panel(turned, "finetune")))
    assert {model: row[1].value for model, row in rows.items()} == pytest.approx(
        {model: 5 - rank for model, rank in ranks.items()}
    )


def test_models_that_cannot_be_told_apart_share_a_rank_and_are_not_normalised(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for model in list(synthetic.MODELS)[:3]:
        record = maker.add(synthetic.TASKS[0], model, "finetune")
        record.outcome.metrics["test"]["auc"]["value"] = 0.75
    reading = read_study(maker.evidence())
    table = ranks_table(reading, reading.panels[0])
    assert {row[1].value for row in table.rows} == {2.0}
    assert {row[1].details for row in table.rows} == {()}
    assert {row[2].value for row in table.rows} == {0.5}
    assert {row[4].text for row in table.rows} == {"–"}
    assert any(note.startswith("All models have the same mean") for note in table.notes)
    assert any("Friedman's test needs 3 models and 2 tasks" in note for note in table.notes)


def test_a_model_without_any_value_is_named_and_does_not_empty_the_table(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for task in synthetic.TASKS[:2]:
        maker.add(task, "mobilenetv1_100.sup_in1k", "finetune")
        maker.add(task, "squeezenet1_1.sup_in1k", "finetune")
        maker.add_failed(task, "resnet20.random", "finetune", "broken", "broken")
    reading = read_study(maker.evidence())
    table = ranks_table(reading, reading.panels[0])
    assert len(table.rows) == 2
    assert "Without any value, not ranked: resnet20.random." in table.notes
    assert table.caption.startswith("Source models over 2 complete tasks")


def test_two_models_never_on_one_task_have_no_ranks(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")
    maker.add(synthetic.TASKS[1], "squeezenet1_1.sup_in1k", "finetune")
    reading = read_study(maker.evidence())
    table = ranks_table(reading, reading.panels[0])
    assert {cell.text for row in table.rows for cell in row[1:]} == {"–"}
    assert "2 of 2 tasks fell out" in table.notes[0]


def test_one_model_has_no_table(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")
    reading = read_study(maker.evidence())
    assert ranks_table(reading, reading.panels[0]) is None


def test_too_few_tasks_for_any_decision_are_said_aloud(wide: ModuleType, synthetic: ModuleType) -> None:
    reading = read_study(wide.wide_study(synthetic, tasks=6, runs=2).evidence())
    notes = ranks_table(reading, _panel(reading, "finetune")).notes
    assert any("none can be significant with so few tasks (smallest adjusted p 0.188)" in n for n in notes)
