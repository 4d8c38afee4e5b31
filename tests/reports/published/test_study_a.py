"""Study A: bold and shading as printed, which test they fit, and ranks of many methods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.reports.document import Section
from medtransfer.reports.published import study_a
from medtransfer.reports.published.assumed_tests import (
    ASSUMPTIONS,
    ONE_SIDED_TEN,
    TWO_SIDED_FIVE,
    Assumption,
    disagreements,
    marked_pairs,
)
from medtransfer.reports.published.material import shipped_material
from medtransfer.reports.published.names import STUDY_A
from medtransfer.reports.published.printed_tests import label_fits, printed_comparisons, surviving_bounds
from medtransfer.reports.published.rank_reading import rank_range, read_ranks
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.published.tidy import tables_of
from medtransfer.reports.tables.table import Table

MATERIAL = shipped_material()


def result(
    mean: float, std: float | None = 0.1, task: str = "T", start: str = "a", **more
) -> PublishedResult:
    return PublishedResult("s", "t", task, "AUC%", start, "net", mean, std, None, "percent", **more)


def table(section: Section, name: str) -> Table:
    (found,) = [t for t in tables_of(section) if t.id == name]
    return found


def cells(found: Table) -> dict[tuple[str, str], object]:
    heads = [column.title for column in found.columns]
    return {(row[0].text, head): cell for row in found.rows for head, cell in zip(heads, row, strict=True)}


def test_bold_and_shading_are_those_of_the_printed_table() -> None:
    shown = cells(table(study_a.domain_adaptation(MATERIAL), "study-a-domain-adaptation-printed"))
    bold = {place for place, cell in shown.items() if cell.tone == "best"}
    assert bold == {
        ("ImageNet->CheXpert", "DXC14"),
        ("ChestX-ray14", "DXC5"),
        ("ImageNet->ChestX-ray14", "TXC"),
        ("ImageNet->ChestX-ray14", "PXS"),
        ("ImageNet->CheXpert", "LXS"),
    }
    shaded = {place for place, cell in shown.items() if cell.tone == "tied"}
    assert {("ImageNet", "LXS"), ("CheXpert", "LXS"), ("ImageNet", "DXC5")} <= shaded
    assert ("ImageNet->ChestX-ray14", "LXS") not in shaded
    assert len(shaded) == 7
    assert shown["ImageNet", "DXC14"].text == "81.70 ± 0.15"
    assert shown["ChestX-ray14", "DXC14"].text == "–"


def test_the_p_value_of_an_assumption_is_that_of_the_reference() -> None:
    """98.31 ± 0.05 against 98.25 ± 0.04 with five runs each, from the statistics reference."""
    best, other = result(98.31, 0.05), result(98.25, 0.04)
    assert Assumption(5, "two-sided", "Student", "sample").p_value(best, other) == pytest.approx(
        0.069444, abs=1e-6
    )
    assert Assumption(5, "two-sided", "Welch", "sample").p_value(best, other) == pytest.approx(
        0.071109, abs=1e-6
    )


def test_sides_and_kind_of_spread_change_the_p_value_as_they_must() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(80, 1, 6), generator.normal(81, 1, 6)
    wanted = stats.ttest_ind(a, b).pvalue
    by_sample = result(a.mean(), a.std(ddof=1)), result(b.mean(), b.std(ddof=1))
    by_population = result(a.mean(), a.std()), result(b.mean(), b.std())
    assert Assumption(6, "two-sided", "Student", "sample").p_value(*by_sample) == pytest.approx(wanted)
    assert Assumption(6, "two-sided", "Student", "population").p_value(*by_population) == pytest.approx(
        wanted
    )
    assert Assumption(6, "one-sided", "Student", "sample").p_value(*by_sample) == pytest.approx(wanted / 2)


@pytest.mark.parametrize("stds", [(None, 0.1), (0.1, None), (0.0, 0.0)])
def test_without_spread_there_is_no_p_value(stds: tuple[float | None, float | None]) -> None:
    assert TWO_SIDED_FIVE.p_value(result(1.0, stds[0]), result(2.0, stds[1])) is None


def test_one_run_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 2 runs"):
        Assumption(1, "two-sided", "Student", "sample")


def test_five_runs_two_sided_fit_the_printed_shading_best_and_ten_one_sided_do_not() -> None:
    pairs = marked_pairs(MATERIAL.of_table(STUDY_A, "table_domain_adaptive"))
    assert len(pairs) == 21
    (misfit,) = disagreements(pairs, TWO_SIDED_FIVE)
    assert (misfit.other.task, misfit.other.initialization) == ("LXS", "ImageNet->ChestX-ray14")
    assert len(disagreements(pairs, ONE_SIDED_TEN)) == 5
    assert min(len(disagreements(pairs, a)) for a in ASSUMPTIONS if a != TWO_SIDED_FIVE) == 2


def test_assumptions_are_labelled_as_such() -> None:
    section = study_a.domain_adaptation(MATERIAL)
    heads = [column.title for column in table(section, "study-a-domain-adaptation-cells").columns]
    assert sum("if n = " in head for head in heads) == 4
    assert "no test is possible" in " ".join(part.text for part in section.parts if hasattr(part, "text"))


def test_ranks_and_friedman_are_those_of_scipy() -> None:
    results = MATERIAL.of_table(STUDY_A, "fig_ssl")
    reading = read_ranks(results)
    assert (len(reading.models), len(reading.tasks), reading.left_out) == (15, 7, 0)
    values = np.array(
        [
            [next(r.mean for r in results if (r.task, r.initialization) == (t, m)) for m in reading.models]
            for t in reading.tasks
        ]
    )
    wanted = np.array([stats.rankdata(-row) for row in values])
    np.testing.assert_array_equal(reading.ranks, wanted)
    np.testing.assert_allclose(reading.mean_ranks, wanted.mean(axis=0))
    assert reading.friedman.chi_square == pytest.approx(stats.friedmanchisquare(*values.T).statistic)
    critical = stats.studentized_range.ppf(0.95, 15, np.inf) / np.sqrt(2) * np.sqrt(15 * 16 / (6 * 7))
    assert reading.critical_difference == pytest.approx(critical)
    gaps = [abs(a - b) for i, a in enumerate(wanted.mean(axis=0)) for b in wanted.mean(axis=0)[:i]]
    assert reading.separated_pairs() == sum(gap > critical for gap in gaps) == 7


def test_a_task_that_lacks_a_model_is_left_out_and_counted() -> None:
    results = [result(float(v), task=t, start=s) for t, vs in {"x": "123", "y": "312", "z": "21"}.items()
               for s, v in zip("abc", vs, strict=False)]  # fmt: skip
    reading = read_ranks(results)
    assert (reading.tasks, reading.left_out) == (("x", "y"), 1)
    assert reading.critical_difference is None


def test_too_few_models_are_refused() -> None:
    with pytest.raises(ShapeError, match="three models on two complete tasks"):
        read_ranks([result(1.0, start="a"), result(2.0, start="b")])


def test_rank_ranges_hold_every_rank_that_errors_allow() -> None:
    """Against all ways to move three values to the ends of their errors."""
    values, errors = np.array([[1.0, 1.15, 1.5]]), np.array([[0.1, 0.1, 0.1]])
    moved = [
        values[0] + errors[0] * np.array(signs)
        for signs in np.ndindex(3, 3, 3)
        for signs in [np.array(signs) - 1]
    ]
    ranks = np.array([stats.rankdata(-row) for row in moved])
    low, high = rank_range(values, errors)
    np.testing.assert_array_equal(low[0], ranks.min(axis=0))
    np.testing.assert_array_equal(high[0], ranks.max(axis=0))


def test_the_missing_correction_is_counted_out() -> None:
    results = MATERIAL.of_table(STUDY_A, "fig_ssl")
    comparisons = printed_comparisons(results, {"baseline": ("ImageNet (supervised)", "ResNet-50")})
    above = [c for c in comparisons if c.printed.above]
    assert (len(comparisons), len(above)) == (73, 14)
    assert surviving_bounds(above, 98) == 12  # 0.0001 * 98 < 0.05, 0.01 * 98 is not
    assert surviving_bounds(above, 1) == 14
    labels = cells(table(study_a.self_supervised(MATERIAL), "study-a-self-supervised-labels"))
    assert labels["p < 0.0001", "Cells"].value == 12
    assert labels["n.s.", "Cells"].value == 59
    assert labels["no label", "Cells"].value == 25


@pytest.mark.parametrize(
    ("p", "printed", "fits"),
    [
        (0.049, "< 0.05", True),
        (0.05, "< 0.05", False),
        (0.009, "< 0.05", False),
        (0.00009, "< 0.0001", True),
        (0.051, "n.s.", True),
        (0.049, "n.s.", False),
        (0.3, "0.2", True),
        (0.31, "0.2", False),
        (None, "0.2", False),
    ],
)
def test_a_label_fits_in_its_step_only(p: float | None, printed: str, fits: bool) -> None:
    assert label_fits(p, printed) is fits


def test_the_printed_p_values_of_inat_are_corrected_as_a_family() -> None:
    """Seven printed p-values; Holm's factors are 7, 6, ... on the sorted ones."""
    shown = table(study_a.inat(MATERIAL), "study-a-inat-p")
    heads = [column.title for column in shown.columns]
    holm = {row[0].text: row[heads.index("Printed p, Holm")].value for row in shown.rows}
    assert holm["ECC"] == pytest.approx(7 * 0.0017)
    assert holm["DXC5"] == pytest.approx(6 * 0.026)
    printed = {row[0].text: row[heads.index("Printed p")].text for row in shown.rows}
    assert printed["TXC"] == "0.063"
