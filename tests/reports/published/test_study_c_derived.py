"""Study C's headline figures come out of a derived population, and the measured ones stand beside them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.reports.document import Notice, Section
from medtransfer.reports.published.effective_size import (
    LARGE_SIZE,
    LOWER_BOUND,
    SMALL_SIZE,
    UPPER_BOUND,
    EffectiveSize,
    derived_population,
    interpolated_spread,
    repeat_printed_delta,
    repeat_printed_p,
)
from medtransfer.reports.published.material import shipped_material
from medtransfer.reports.published.records import DerivedPopulation
from medtransfer.reports.published.run_cells import run_cells, scores
from medtransfer.reports.published.study_c_derived import derived
from medtransfer.reports.published.tidy import tables_of
from medtransfer.reports.tables.table import Table

MATERIAL = shipped_material()


def cells(experiment: str, task: str) -> dict[str, tuple[float, ...]]:
    (score,) = [s for s in scores(MATERIAL.runs, experiment) if s.task == task]
    found = run_cells(MATERIAL.runs, [score])[score]
    return {name: cell.values for name, cell in found.items()}


def table(section: Section, name: str) -> Table:
    (found,) = [t for t in tables_of(section) if t.id == name]
    return found


@pytest.mark.parametrize(
    ("experiment", "task", "delta", "p"),
    [("E1", "R", "0.44", "0.541"), ("E4", "R_lineval", "2.07", "0.025"), ("E2", "RXS", "1.63", "0.114")],
)
def test_the_headline_figures_come_out_to_the_printed_digits(
    experiment: str, task: str, delta: str, p: str
) -> None:
    found = cells(experiment, task)
    population = derived_population(found["R"], found["RF"], UPPER_BOUND)
    assert f"{repeat_printed_delta(population, found['I1k']):.2f}" == delta
    assert f"{repeat_printed_p(population, found['I1k']):.3f}" == p


@pytest.mark.parametrize(
    ("experiment", "task", "delta"), [("E1", "R", "0.12"), ("E4", "R_lineval", "2.14"), ("E2", "RXS", "1.51")]
)
def test_the_measured_runs_give_other_figures(experiment: str, task: str, delta: str) -> None:
    found = cells(experiment, task)
    assert f"{100 * (np.mean(found['R']) / np.mean(found['I1k']) - 1):.2f}" == delta


def test_shares_are_those_of_the_study() -> None:
    assert (SMALL_SIZE, LARGE_SIZE) == (1_281_167, 12_034_617)
    assert LOWER_BOUND.share == pytest.approx(0.016, abs=5e-4)
    assert UPPER_BOUND.share == pytest.approx(0.334, abs=5e-4)


@pytest.mark.parametrize("size", [LOWER_BOUND, UPPER_BOUND])
def test_a_population_has_the_mean_and_spread_of_the_written_formulas(size: EffectiveSize) -> None:
    """The formulas of the reference, step by step: slope, intercept, and their errors."""
    small, large = np.array([0.8, 0.83, 0.79, 0.9]), np.array([0.91, 0.94, 0.9, 0.97])
    x1, x2 = 1281167.0, 12034617.0
    x3, e1, e2 = size.factor * x1, small.std(), large.std()
    slope = (large.mean() - small.mean()) / (x2 - x1)
    me = math.sqrt(e1**2 + e2**2) / (x2 - x1)
    ne = math.sqrt(e2**2 + me**2 * x2**2)
    e3 = math.sqrt(me**2 * x3**2 + ne**2)
    found = np.array(derived_population(small, large, size).values)
    assert found.mean() == pytest.approx(small.mean() + slope * (x3 - x1))
    assert found.std() == pytest.approx(e3)
    np.testing.assert_allclose((found - found.mean()) / e3, (large - large.mean()) / e2)
    t = (x3 - x1) / (x2 - x1)
    right = math.sqrt((1 - t) ** 2 * e1**2 + t**2 * e2**2)
    assert interpolated_spread(e1, e2, size, "corrected") == pytest.approx(right)
    assert np.std(derived_population(small, large, size, "corrected").values) == pytest.approx(right)


def test_the_corrected_spread_is_that_of_a_simulation() -> None:
    generator = np.random.default_rng(0)
    ends = generator.normal([0.0, 0.0], [0.4, 0.9], (200_000, 2))
    between = ends[:, 0] + UPPER_BOUND.share * (ends[:, 1] - ends[:, 0])
    assert interpolated_spread(0.4, 0.9, UPPER_BOUND, "corrected") == pytest.approx(between.std(), rel=0.01)
    assert interpolated_spread(0.4, 0.9, UPPER_BOUND, "printed") > 1.5 * between.std()


def test_the_printed_spread_of_the_headlines_is_two_to_three_times_too_wide() -> None:
    shown = table(derived(MATERIAL), "study-c-derived-spreads")
    ratio = [c.title for c in shown.columns].index("Printed over corrected")
    upper = [row[ratio].text for row in shown.rows if "UB" in row[1].text]
    assert upper == ["2.18", "2.72", "3.03"]


@pytest.mark.parametrize(
    ("small", "large"),
    [([0.1], [0.1, 0.2]), ([0.1, 0.2], [0.1]), ([0.1, math.nan], [0.1, 0.2]), ([0.1, 0.2], [0.3, 0.3])],
)
def test_populations_that_cannot_be_computed_are_refused(small: list[float], large: list[float]) -> None:
    with pytest.raises(ShapeError, match="derived population: expected"):
        derived_population(small, large, UPPER_BOUND)


def test_a_derived_population_is_no_sequence_that_a_test_would_take() -> None:
    from medtransfer.stats.comparisons import welch

    population = derived_population([0.1, 0.2], [0.2, 0.4], UPPER_BOUND)
    assert isinstance(population, DerivedPopulation)
    with pytest.raises(TypeError):
        welch(population, [0.1, 0.2])  # type: ignore[arg-type]


def test_derived_and_measured_stand_in_columns_of_their_own() -> None:
    section = derived(MATERIAL)
    assert isinstance(section.parts[0], Notice)
    shown = table(section, "study-c-derived-headlines")
    heads = [column.title for column in shown.columns]
    row = dict(zip(heads, shown.rows[0], strict=True))
    assert row["Printed relative %"].text == row["Derived (UB) relative %"].text == "+0.44"
    assert row["Printed p"].text == ".541"
    assert row["Derived (UB) p, as print computes it"].text == "0.541"
    assert row["Measured (R) relative %"].text == "+0.12"
    assert row["Measured (R) p"].text == "0.844"
    assert shown.rows[2][0].marks == "‡"  # the 1 % subset is suspect


def test_a_store_that_lacks_a_model_leaves_the_figure_out() -> None:
    runs = tuple(run for run in MATERIAL.runs if (run.experiment, run.initialization) != ("E1", "RF"))
    section = derived(replace(MATERIAL, runs=runs))
    assert [row[0].text for row in table(section, "study-c-derived-headlines").rows] == [
        "frozen encoder on R",
        "fine-tuned on 1 % of R",
    ]
    empty = derived(replace(MATERIAL, runs=()))
    assert tables_of(empty) == []
