"""All pairs of a row: equivalence, rank sets, DeLong, against statsmodels and by counting."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind

from medtransfer.reports.pairs import RowPairs, pairs_over_patients, pairs_over_runs
from medtransfer.reports.row_predictions import BinaryScores
from medtransfer.reports.subjects import ReportTask, read_tasks

SCORES = {
    "a": [0.900, 0.901, 0.899, 0.900, 0.902],
    "b": [0.901, 0.900, 0.900, 0.899, 0.901],
    "c": [0.850, 0.853, 0.849, 0.851, 0.848],
    "d": [0.800, 0.890, 0.840, 0.910, 0.780],
}


@pytest.fixture
def task(synthetic: ModuleType) -> ReportTask:
    maker = synthetic.StudyMaker()
    return read_tasks([maker.add(synthetic.TASKS[0], "resnet20.random", "linear")])[0]


def test_equivalence_is_two_one_sided_tests_with_holm(task: ReportTask) -> None:
    found = pairs_over_runs(task, SCORES)
    pairs = list(combinations(sorted(SCORES), 2))
    raw = [ttost_ind(SCORES[a], SCORES[b], -0.01, 0.01, usevar="unequal")[0] for a, b in pairs]
    adjusted = multipletests(raw, method="holm")[1]
    assert found.margin == 0.01
    for pair, p in zip(pairs, adjusted, strict=True):
        assert found.adjusted[pair] == pytest.approx(p, rel=1e-9)
        assert found.equivalent(*pair) == found.equivalent(*reversed(pair)) == (p < 0.05)
    assert found.equivalent("a", "b")
    assert not found.equivalent("a", "d"), "noisy and not separated, which shows no equivalence"
    assert not found.pairwise.separated("a", "d")


def test_rank_sets_leave_out_only_ranks_the_tests_exclude(task: ReportTask) -> None:
    found = pairs_over_runs(task, SCORES)
    pairs = list(combinations(sorted(SCORES), 2))
    raw = [stats.ttest_ind(SCORES[a], SCORES[b], equal_var=False).pvalue for a, b in pairs]
    separated = dict(zip(pairs, multipletests(raw, method="holm")[0], strict=True))
    means = {name: np.mean(values) for name, values in SCORES.items()}
    for name in SCORES:
        apart = [other for other in SCORES if other != name and separated[min(name, other), max(name, other)]]
        better = sum(means[other] > means[name] for other in apart)
        worse = len(apart) - better
        assert found.rank_sets[name] == (1 + better, 4 - worse)
    assert found.rank_sets["a"] == (1, 3)
    assert found.rank_sets["c"] == (3, 4)


def test_a_model_without_a_value_has_no_rank_and_takes_none(task: ReportTask) -> None:
    found = pairs_over_runs(task, {**SCORES, "none": []})
    assert found.rank_sets["a"] == (1, 3)
    assert ("a", "none") not in found.equivalences
    assert not found.equivalent("a", "none")


def test_runs_that_do_not_vary_show_no_equivalence(task: ReportTask) -> None:
    found = pairs_over_runs(task, {"a": [0.9, 0.9], "b": [0.9, 0.9]})
    assert found.adjusted["a", "b"] is None
    assert not found.equivalent("a", "b")


def _over_patients(task: ReportTask, binary: BinaryScores | None) -> RowPairs:
    rng = np.random.default_rng(3)
    base = rng.normal(0.9, 0.02, 10_000)
    draws = {"a": base, "b": base + rng.normal(0.001, 0.001, 10_000), "c": base - 0.05}
    points = {"a": 0.9, "b": 0.901, "c": 0.85}
    return pairs_over_patients(task, points, draws, patients=50, binary=binary)


def test_over_patients_equivalence_comes_from_the_draws(task: ReportTask) -> None:
    found = _over_patients(task, None)
    assert found.delong is None
    assert found.equivalent("a", "b")
    assert not found.equivalent("a", "c")
    assert found.equivalences["a", "b"].p == pytest.approx(1 / 10_001)
    assert found.adjusted["a", "b"] == pytest.approx(3 / 10_001)


def test_delong_needs_two_cases_of_each_class(task: ReportTask) -> None:
    rng = np.random.default_rng(1)
    scores = {name: rng.random(50) for name in "abc"}
    few = np.zeros(50, dtype=np.int64)
    few[0] = 1
    assert _over_patients(task, BinaryScores(few, scores)).delong is None
    few[1] = 1
    delong = _over_patients(task, BinaryScores(few, scores)).delong
    assert delong is not None
    assert set(delong) == set(combinations("abc", 2))


def test_delong_only_where_every_case_is_another_patient(reading: Any) -> None:
    """The made-up study has two images per patient, so no row of it has the test."""
    assert all(row.pairs.delong is None for panel in reading.panels for row in panel.rows if row.pairs)
