"""Study B: rank correlations with ImageNet accuracy, printed differences, and cells shared with study A."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import DataError
from medtransfer.reports.document import Section
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.published import study_b
from medtransfer.reports.published.architecture_ranks import TOP_ONE, order_agreements
from medtransfer.reports.published.label_budget import label_budget, labelled_images
from medtransfer.reports.published.material import shipped_material
from medtransfer.reports.published.names import STUDY_A, STUDY_B
from medtransfer.reports.published.printed_tests import closest_assumptions, fit_sentence, printed_comparisons
from medtransfer.reports.published.rank_reading import read_ranks
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.published.tidy import tables_of
from medtransfer.reports.tables.table import Table

MATERIAL = shipped_material()


def table(section: Section, name: str) -> Table:
    (found,) = [t for t in tables_of(section) if t.id == name]
    return found


def test_rank_correlations_are_those_of_scipy() -> None:
    results = MATERIAL.of_table(STUDY_B, "fig_architectures")
    accuracy = {r.architecture: r.mean for r in results if r.task == TOP_ONE}
    found = {agreement.task: agreement for agreement in order_agreements(results)}
    assert len(found) == 8
    for task, agreement in found.items():
        levels = {r.architecture: r.mean for r in results if r.task == task}
        pairs = np.array([(accuracy[name], level) for name, level in levels.items()])
        assert agreement.networks == 12
        assert agreement.kendall == pytest.approx(stats.kendalltau(*pairs.T).statistic)
        ranks = np.apply_along_axis(stats.rankdata, 0, pairs)
        assert agreement.spearman == pytest.approx(np.corrcoef(ranks.T)[0, 1])
    assert found["DXC14"].spearman < 0.1
    assert found["BXS"].spearman > 0.8


def test_too_few_networks_give_no_correlation() -> None:
    few = [
        r for r in MATERIAL.of_table(STUDY_B, "fig_architectures") if r.architecture in ("Swin-B", "Swin-T")
    ]
    assert order_agreements(few) == []


def test_differences_stand_as_printed_and_agree_with_the_levels() -> None:
    section = label_budget(MATERIAL)
    printed = [row[4].text for row in table(section, "study-b-label-budget-data").rows]
    assert printed == ["−2.8", "−10.3", "−1.9", "−9.7", "−0.04", "−6.7", "+0.16", "−3.7", "+0.24", "−1.8"]
    apart = [abs(row[4].value) for row in table(section, "study-b-label-budget-check").rows]
    assert len(apart) == 8
    assert max(apart) <= 0.1


def test_the_chart_turns_the_sign_of_the_second_figure_and_says_so() -> None:
    (chart,) = [part for part in label_budget(MATERIAL).parts if isinstance(part, Chart)]
    second = {series.name: series for series in chart.panels[1].series if series.draw == "estimate"}
    assert list(second) == ["Swin-T minus ConvNeXt-T", "Swin-B minus ConvNeXt-B"]
    assert second["Swin-T minus ConvNeXt-T"].y == (-3.7, -2.2, -1.0, -0.5)
    assert second["Swin-T minus ConvNeXt-T"].x == (124.0, 529.0, 8000.0, 86000.0)


def test_a_number_of_images_that_is_none_is_refused() -> None:
    wrong = PublishedResult("s", "t", "T", "m", "i", "a", 0.0, None, None, "points", labelled_images="some")
    with pytest.raises(DataError, match="expected a number such as 529 or 86K, got 'some'"):
        labelled_images(wrong)


def test_five_tasks_give_no_critical_difference() -> None:
    reading = read_ranks(MATERIAL.of_table(STUDY_B, "fig_ssl22"))
    assert (len(reading.models), len(reading.tasks), reading.critical_difference) == (23, 5, None)
    assert reading.separated_pairs() is None
    notes = table(study_b.self_supervised(MATERIAL), "study-b-self-supervised-ranks").notes
    assert any(note.startswith("No critical difference is given for 5 tasks") for note in notes)


def test_the_second_study_shows_the_same_levels_as_the_first() -> None:
    results, earlier = MATERIAL.of_table(STUDY_B, "fig_ssl22"), MATERIAL.of_table(STUDY_A, "fig_ssl")
    pairs = study_b.shared_cells(results, earlier)
    assert len(pairs) == 45
    shown = table(study_b.self_supervised(MATERIAL), "study-b-self-supervised-shared")
    assert [(row[0].text, row[2].value) for row in shown.rows] == [("VFS", 15), ("PXS", 15), ("ECC", 15)]
    assert max(abs(a.mean - b.mean) for a, b in pairs) == pytest.approx(0.05)


def test_labels_of_the_last_figure_fit_ten_runs_and_one_side_only() -> None:
    results = MATERIAL.of_table(STUDY_B, "fig_domain_adaptive_swin_convnext")
    against = {
        "ImageNet Swin-B": ("ImageNet", "Swin-B"),
        "ImageNet ConvNeXt-B": ("ImageNet", "ConvNeXt-B"),
        "adapted Swin-B": ("ImageNet->MIMIC", "Swin-B"),
    }
    comparisons = printed_comparisons(results, against)
    fits = closest_assumptions(comparisons)
    best = max(fits, key=lambda assumption: fits[assumption])
    assert (best.n, best.sided, fits[best], len(comparisons)) == (10, "one-sided", 18, 18)
    assert max(number for a, number in fits.items() if a.sided == "two-sided") < 18
    assert "two-sided, 2 of the labels would read n.s." in fit_sentence(comparisons)


def test_labels_against_a_cell_outside_the_table_are_left_out() -> None:
    results = MATERIAL.of_table(STUDY_B, "fig_domain_adaptive_swin_convnext")
    assert printed_comparisons(results, {"ImageNet Swin-B": ("Scratch", "Swin-B")}) == []


def test_where_only_bounds_are_printed_nothing_is_corrected() -> None:
    section = study_b.domain_adaptation(MATERIAL)
    heads = [column.title for column in table(section, "study-b-domain-adaptation-labels").columns]
    assert not any("Holm" in head for head in heads)
    assert any("Holm" in column.title for column in table(section, "study-b-domain-adaptation-p").columns)
