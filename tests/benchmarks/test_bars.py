"""The bars themselves: that both sides do the same work is checked here, how fast they are never."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bootstrap_of_patients, r3_probe_grid, r5_start, r6_whole_study, r8_growth
from benchmarks.contest import Contest
from benchmarks.drawn_chests import FINDINGS, draw_chests
from benchmarks.drawn_pictures import SIDE, write_pictures
from benchmarks.plain_study import Cell, PlainFindings, PlainStudy
from benchmarks.registry import bars
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.reports.write_report import write_report

IN_A_MOMENT = ("R3", "R5", "bootstrap")


@pytest.mark.parametrize("name", bars.names())
def test_every_bar_is_built_by_a_function_that_says_what_it_measures(name: str) -> None:
    bar = bars.get(name)
    module, _, function = bar.function.partition(":")
    assert "÷" in bar.definition
    assert (getattr(importlib.import_module(module), function).__doc__ or "").startswith("Yield")


@pytest.mark.parametrize("name", IN_A_MOMENT)
def test_quick_contests_are_won_by_nobody_doing_other_work(name: str, tmp_path: Path) -> None:
    for contest in bars.get(name).contests(tmp_path, quick=True):
        assert contest.goal is not None
        verdict = contest.verify({arm.label: arm.work() for arm in contest.arms})
        assert verdict.equal, verdict.facts


def test_heads_off_the_minimum_lose_the_probe_grid() -> None:
    problem = r3_probe_grid.draw_problem(200, 16)
    theirs, ours = r3_probe_grid.fit_one_by_one(problem), r3_probe_grid.fit_grid(problem)
    assert r3_probe_grid.compare(problem, theirs, ours).equal
    worse = [replace(heads, weights=heads.weights * 1.5) for heads in ours]
    assert not r3_probe_grid.compare(problem, theirs, worse).equal
    turned = [replace(heads, weights=-heads.weights) for heads in ours]
    facts = r3_probe_grid.compare(problem, theirs, turned).facts
    assert facts["median_auc_difference"] > r3_probe_grid.LARGEST_AUC_DIFFERENCE


def test_probe_grid_is_the_whole_grid() -> None:
    problem = r3_probe_grid.draw_problem(200, 8)
    assert [len(rows) for rows in problem.subsets] == [10] * 5 + [20] * 5 + [50] * 5 + [100] * 5 + [200] * 5
    assert len({rows.tobytes() for rows in problem.subsets}) == 21
    assert max(rows.max() for rows in problem.subsets) < problem.test.min()


def test_an_import_of_a_numerical_library_loses_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (contest,) = r5_start.contests(tmp_path, quick=True)
    results = {arm.label: arm.work() for arm in contest.arms}
    assert contest.verify(results).equal
    monkeypatch.setattr(r5_start, "_IMPORTS", "import sys\nprint(['numpy'], file=sys.stderr)")
    assert not contest.verify(results).equal


@pytest.fixture
def small_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r8_growth, "NEW_TRIALS", 2)
    monkeypatch.setattr(r8_growth, "OPEN_TRIALS", 2)


def test_growth_contests_bring_every_trial_to_its_end(small_stores: None, tmp_path: Path) -> None:
    names = []
    for contest in r8_growth.contests(tmp_path, quick=True):
        names.append(contest.name)
        for _ in range(2):
            assert contest.verify({arm.label: arm.work() for arm in contest.arms}).equal
    assert len(names) == 6


def test_a_report_that_lacks_a_trial_or_a_page_loses_its_contest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = r8_growth.reported_store(tmp_path, 1, 2)
    try:
        trials = store.records()
        assert len(trials) == 2 * len(r8_growth.FRACTIONS) * r8_growth.REPETITIONS
        assert store.verify() == []
        values = {r.outcome.metrics["test"]["auc"]["value"] for r in trials if r.outcome is not None}
        assert len(values) > len(trials) / 2  # a report of equal trials would compare nothing
        assert r8_growth.write_new_report(store)

        def cut(*arguments: Any, **named: Any) -> Any:
            files = write_report(*arguments, **named)
            return replace(files, pages=files.pages[1:])

        monkeypatch.setattr(r8_growth, "write_report", cut)
        assert not r8_growth.write_new_report(store)
    finally:
        store.close()


def test_filled_store_is_a_sound_one_but_for_its_files(tmp_path: Path) -> None:
    store = r8_growth.filled_store(tmp_path, 12)
    try:
        assert store.counts(r8_growth.HISTORY).done == 12
        assert len(store.records()) == 12
        assert {problem.what for problem in store.verify()} <= {"missing-predictions", "damaged-predictions"}
    finally:
        store.close()


def test_pictures_are_large_grey_files_of_two_classes(tmp_path: Path) -> None:
    cases = write_pictures(tmp_path / "pictures", 4)
    assert [path.parent.name for path in sorted((tmp_path / "pictures").rglob("*.png"))] == ["clear"] * 2 + [
        "nodule"
    ] * 2
    assert cases.source.read_image(cases.frame["image"][0]).shape == (SIDE, SIDE)
    cache = open_decoded_cache(cases, 64, tmp_path)
    assert cache.images.shape == (4, 64, 64, 1)
    assert len({np.asarray(image).tobytes() for image in cache.images}) == 4


def test_image_bars_do_the_same_work_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import r1_pipeline_efficiency, r2_usual_loop
    from benchmarks.image_work import ImageWork

    work = ImageWork("resnet20.random", 32)
    monkeypatch.setattr(r1_pipeline_efficiency, "GOALS", {work: 1.0})
    monkeypatch.setattr(r2_usual_loop, "TRAINING_GOALS", {work: 1.0})
    monkeypatch.setattr(r2_usual_loop, "EMBEDDING_GOALS", {work: 1.0})
    found: list[Contest] = []
    for number, bar in enumerate((r1_pipeline_efficiency, r2_usual_loop)):
        for contest in bar.contests(tmp_path / str(number), quick=True):
            verdict = contest.verify({arm.label: arm.work() for arm in contest.arms})
            assert verdict.equal, (contest.name, verdict.facts)
            found.append(contest)
    assert [contest.name for contest in found] == ["resnet20@32 training", "resnet20@32 embedding"] * 2


def test_other_auc_values_lose_the_bootstrap() -> None:
    split = bootstrap_of_patients.draw_split(200, 30, 2, 100)
    weights = bootstrap_of_patients.first_weights(split, 3)
    plain, ours = bootstrap_of_patients.plain(split, weights), bootstrap_of_patients.ours(split)
    results = {"scikit-learn, draw by draw": plain, "ours": (1.0, ours)}
    assert bootstrap_of_patients.verdict(results).equal
    assert ours.shape == (2, 100)
    ours[1, 2] += 1e-9
    assert not bootstrap_of_patients.verdict(results).equal


@pytest.fixture
def whole_study(tmp_path: Path) -> PlainStudy:
    return PlainStudy(
        draw_chests(tmp_path / "images", 80, 40, 40), ("resnet20.random",), 32, (0.5, 1.0), 2, 30
    )


def test_whole_study_is_the_same_table_on_both_sides(whole_study: PlainStudy, tmp_path: Path) -> None:
    plain = whole_study.run(tmp_path / "plain")
    assert [(cell.fraction, cell.spread is None, cell.interval is None) for cell in plain.cells] == [
        (0.5, False, True),
        (1.0, True, False),
    ]
    assert set(plain.seconds) == {"decode and embed", "LogME", "probe grid", "intervals", "report"}
    low, high = plain.cell("resnet20.random").interval or (1.0, 0.0)
    assert low <= plain.cell("resnet20.random").auc <= high
    ours = r6_whole_study.run_ours(whole_study, tmp_path / "ours")
    assert set(ours.auc) == {("resnet20.random", 0.5), ("resnet20.random", 1.0)}
    assert len(ours.logme) == 1
    assert not (tmp_path / "ours").exists()


def test_other_or_blind_results_lose_the_whole_study() -> None:
    cells = [
        Cell("a", 0.5, 0.7, 0.01, None),
        Cell("a", 1.0, 0.8, None, (0.7, 0.9)),
        Cell("b", 0.5, 0.6, 0.01, None),
        Cell("b", 1.0, 0.652, None, (0.6, 0.7)),
    ]
    plain = PlainFindings(cells, {"probe grid": 1.0})
    same = {(cell.model, cell.fraction): cell.auc for cell in cells}
    near, far = 0.99 * r6_whole_study.LARGEST_AUC_DIFFERENCE, 1.01 * r6_whole_study.LARGEST_AUC_DIFFERENCE

    def verdict_on(auc: dict[tuple[str, float], float]) -> bool:
        ours = r6_whole_study.OurCells(auc, (0.1, 0.2))
        return r6_whole_study.verdict({"plain script": plain, "ours": ours}).equal

    assert verdict_on(same)
    assert verdict_on({**same, ("a", 1.0): 0.8 + near, ("b", 0.5): 0.6 + far})
    assert not verdict_on({**same, ("a", 1.0): 0.8 + far})
    assert not verdict_on({**same, ("b", 0.5): 0.6 + 1.01 * r6_whole_study.LARGEST_SUBSET_DIFFERENCE})
    assert not verdict_on({**same, ("b", 1.0): 0.648})
    assert not verdict_on({cell: auc for cell, auc in same.items() if cell != ("b", 0.5)})


def test_drawn_chests_show_their_findings(tmp_path: Path) -> None:
    chests = draw_chests(tmp_path / "images", 12, 4, 4)
    assert [len(chests.rows(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    assert chests.labels().shape == (20, len(FINDINGS))
    assert chests.table.groupby("patient")["split"].nunique().max() == 1
    assert len(list(chests.root.glob("*.png"))) == 20
    again = draw_chests(tmp_path / "again", 12, 4, 4)
    assert chests.table.equals(again.table)
    name = chests.table["image"][3]
    assert (chests.root / name).read_bytes() == (again.root / name).read_bytes()
