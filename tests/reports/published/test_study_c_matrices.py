"""Study C's measured runs: reference values, family corrections, floors, and degenerate cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from medtransfer.reports.published.cell_comparisons import CellComparison, Family, compare_family
from medtransfer.reports.published.material import Material, shipped_material
from medtransfer.reports.published.names import STUDY_C
from medtransfer.reports.published.records import MeasuredRun
from medtransfer.reports.published.run_cells import RunCell, Score, primary_metrics, run_cells, scores
from medtransfer.reports.published.study_c import matrices, study_c_families
from medtransfer.reports.published.study_c_tables import levels_of, list_of, pairs_of, summary_of
from medtransfer.reports.published.tidy import tables_of

MATERIAL = shipped_material()
SCORE = Score("E1", "R", "accuracy", "accuracy")


@pytest.fixture(scope="module")
def families() -> dict[str, Family]:
    return {family.name: family for family in study_c_families(MATERIAL)}


def comparison(family: Family, task: str, metric: str, a: str, b: str) -> CellComparison:
    (found,) = [
        c
        for c in family.comparisons
        if (c.score.task, c.score.metric, c.a.initialization, c.b.initialization) == (task, metric, a, b)
    ]
    return found


def cell(name: str, *values: float) -> RunCell:
    return RunCell(SCORE, name, dict(enumerate(values)))


def family_of(*cells: RunCell) -> Family:
    return compare_family("made-up", "Made up", {SCORE: {cell.initialization: cell for cell in cells}})


def test_r_against_imagenet_is_the_value_of_the_reference(families: dict[str, Family]) -> None:
    """Four real runs each, from the statistics reference: R and I."""
    found = comparison(families["fine-tuned"], "R", "accuracy", "R", "I1k")
    assert found.a.values == (0.94456, 0.93572, 0.9328, 0.93312)
    assert found.b.values == (0.93852, 0.93108, 0.94704, 0.925)
    assert found.welch.statistic == pytest.approx(0.207352027, rel=1e-8)
    assert found.welch.df == pytest.approx(4.799911072, rel=1e-9)
    assert found.welch.p == pytest.approx(0.844243210, rel=1e-8)
    assert found.welch.relative_percent == pytest.approx(0.121872, abs=1e-6)
    assert 100 * found.welch.difference == pytest.approx(0.114, abs=1e-9)
    assert found.exact.p == pytest.approx(0.885714, abs=1e-6)
    assert found.exact.floor == pytest.approx(2 / 70)


def test_families_hold_the_pairs_they_say(families: dict[str, Family]) -> None:
    sizes = {name: family.tests for name, family in families.items()}
    assert sizes == {
        "fine-tuned": 48,
        "reduced": 138,
        "frozen": 24,
        "mixed-fine-tuned": 18,
        "mixed-frozen": 14,
    }
    mixed = families["mixed-fine-tuned"].comparisons
    assert all({"IxRS", "IxRM"} & {c.a.initialization, c.b.initialization} for c in mixed)
    assert {c.score.task for c in mixed} == {"R", "I1k"}


@pytest.mark.parametrize("name", ["fine-tuned", "frozen", "mixed-frozen"])
def test_every_p_value_and_correction_agrees_with_other_libraries(
    families: dict[str, Family], name: str
) -> None:
    found = families[name].comparisons
    raw = [stats.ttest_ind(c.a.values, c.b.values, equal_var=False).pvalue for c in found]
    assert [c.welch.p for c in found] == pytest.approx(raw)
    assert [c.welch.adjusted_p for c in found] == pytest.approx(multipletests(raw, method="holm")[1])
    assert [c.bh_p for c in found] == pytest.approx(multipletests(raw, method="fdr_bh")[1])
    exact = [stats.mannwhitneyu(c.a.values, c.b.values, method="exact").pvalue for c in found]
    distinct = [len({*c.a.values, *c.b.values}) == 8 for c in found]
    assert [c.exact.p for c, kept in zip(found, distinct, strict=True) if kept] == pytest.approx(
        [p for p, kept in zip(exact, distinct, strict=True) if kept]
    )


def test_the_floor_of_the_exact_test_is_said_aloud(families: dict[str, Family]) -> None:
    raw, corrected = families["fine-tuned"].floors() or (0, 0)
    assert (raw, corrected) == (pytest.approx(2 / 70), 1.0)
    assert (
        "0.029 raw, 1.000 after Holm: cannot be significant at this n."
        in pairs_of(families["fine-tuned"]).notes[2]
    )
    alone = family_of(cell("I1k", 0.1, 0.2, 0.3, 0.4), cell("R", 0.5, 0.6, 0.7, 0.8))
    assert pairs_of(alone).notes[2].endswith("0.029 raw, 0.029 after Holm.")


def test_a_known_separation_is_marked_and_an_undecided_one_is_not(families: dict[str, Family]) -> None:
    shown = pairs_of(families["frozen"])
    heads = [column.title for column in shown.columns]
    marks = {(row[0].text, head): row[n].marks for row in shown.rows for n, head in enumerate(heads)}
    assert marks["I1k_lineval, accuracy", "R against I1k"] == "**"
    assert marks["CX8_lineval, mean AUC", "R against I1k"] == ""


def test_the_tie_group_of_a_row_is_shown(families: dict[str, Family]) -> None:
    rows = {row[0].text: row for row in levels_of(families["fine-tuned"]).rows}
    scratch, imagenet, r, rf = rows["CX8, mean AUC"][1:]
    assert (r.tone, scratch.tone, imagenet.tone, rf.tone) == ("best", "plain", "tied", "tied")
    assert r.text == "75.63 ± 0.73"
    assert "!" in rows["LiTS, Dice, liver"][1].marks  # one of four runs collapsed
    assert "!" not in imagenet.marks


def test_cells_that_are_known_to_be_wrong_carry_their_reason(families: dict[str, Family]) -> None:
    shown = levels_of(families["reduced"])
    marked = {row[0].text.partition(",")[0] for row in shown.rows if any("‡" in cell.marks for cell in row)}
    assert marked == {"CX8M", "CX8S", "RXS", "LiTSS"}
    assert any(note.startswith("CX8M: Declared as a reduced training set") for note in shown.notes)


def test_derived_populations_are_in_none_of_these_tables() -> None:
    for table in tables_of(matrices(MATERIAL)):
        texts = [column.title for column in table.columns] + [cell.text for row in table.rows for cell in row]
        assert not any("derived" in text.lower() or "(UB)" in text for text in texts)


def test_single_runs_are_undetermined_and_leave_the_family() -> None:
    found = family_of(cell("I1k", 0.5), cell("R", 0.6, 0.7), cell("RF", 0.8, 0.9))
    assert found.tests == 1
    by_pair = {(c.a.initialization, c.b.initialization): c for c in found.comparisons}
    assert by_pair["R", "I1k"].welch.p is None
    assert by_pair["RF", "R"].welch.adjusted_p == by_pair["RF", "R"].welch.p
    assert pairs_of(found).rows[0][1].details[0] == "+15.00 points, no interval"
    assert levels_of(found).rows[0][1].tone == "undetermined"
    assert levels_of(found).rows[0][1].text == "50.00"
    assert len(list_of(found).rows) == 3


def test_runs_that_do_not_vary_are_never_significant() -> None:
    found = family_of(cell("I1k", 0.5, 0.5), cell("R", 0.6, 0.6)).comparisons[0]
    assert found.welch.p is None
    assert not found.welch.significant()
    assert not found.equivalent
    assert summary_of([family_of(cell("I1k", 0.5, 0.5), cell("R", 0.6, 0.6))]).rows[0][2].value == 0


def test_a_p_value_of_zero_counts_as_below() -> None:
    family = family_of(cell("I1k", 0.1, 0.2, 0.3), cell("R", 0.4, 0.5, 0.6))
    zero = replace(
        family.comparisons[0], welch=replace(family.comparisons[0].welch, p=0.0, adjusted_p=0.0), bh_p=0.0
    )
    counted = summary_of([replace(family, comparisons=(zero,))]).rows[0]
    assert [cell.value for cell in counted[2:5]] == [1, 1, 1]


def test_equivalence_is_said_only_after_two_one_sided_tests() -> None:
    close = family_of(cell("I1k", 0.5, 0.501, 0.502), cell("R", 0.5, 0.5015, 0.5025)).comparisons[0]
    apart = family_of(cell("I1k", 0.5, 0.6, 0.4), cell("R", 0.5, 0.61, 0.41)).comparisons[0]
    assert close.equivalent
    assert apart.welch.p is not None
    assert apart.welch.p > 0.9
    assert not apart.equivalent


def test_the_metrics_of_a_task_are_found_by_its_name() -> None:
    assert primary_metrics("BraTSS") == {
        "dice_avg_class_1": "Dice, enhancing tumour",
        "dice_avg_class_2": "Dice, whole tumour",
        "dice_avg_class_3": "Dice, tumour core",
    }
    assert primary_metrics("I1kXS") == primary_metrics("RXXS") == {"accuracy": "accuracy"}
    assert primary_metrics("CX8_noise5e2") == {"auc_avg_overall": "mean AUC"}
    assert primary_metrics("somethingelse") == {}


def test_runs_out_of_order_and_a_lacking_model_are_read_right() -> None:
    runs = [
        MeasuredRun(STUDY_C, "E1", "RF", "R", 1, "accuracy", 0.2),
        MeasuredRun(STUDY_C, "E1", "RF", "R", 0, "accuracy", 0.1),
        MeasuredRun(STUDY_C, "E1", "Scratch", "R", 0, "accuracy", 0.3),
        MeasuredRun(STUDY_C, "E1", "Scratch", "R", 0, "avg_val_loss", 9.0),
    ]
    (found,) = run_cells(runs, scores(runs, "E1")).values()
    assert list(found) == ["Scratch", "RF"]
    assert found["RF"].values == (0.1, 0.2)


def test_without_runs_there_is_a_section_without_tables() -> None:
    section = matrices(Material((), ()))
    assert section.sections == ()
