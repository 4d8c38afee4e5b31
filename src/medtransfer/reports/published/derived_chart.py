"""The three headline figures of study C as points: measured runs, and populations that were computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import number
from medtransfer.reports.published.derived_tables import Shown, population_of
from medtransfer.reports.published.effective_size import LOWER_BOUND, UPPER_BOUND
from medtransfer.reports.published.run_cells import RunCell

_MEASURED = ("I1k", "R", "RF")
_DERIVED = (LOWER_BOUND, UPPER_BOUND)


def headlines_chart(found: Sequence[Shown]) -> Chart:
    """Return measured runs and derived values, a panel per figure of the abstract."""
    labels = [*(f"{name}, measured" for name in _MEASURED), *(f"{size.code}, derived" for size in _DERIVED)]
    long, short = (
        tuple((float(at), text) for at, text in enumerate(texts))
        for texts in (labels, [label.partition(",")[0] for label in labels])
    )
    panels = tuple(
        ChartPanel(
            Axis(f"{headline.claim}: accuracy, %"),
            Axis("", short if place else long, downwards=True),
            (*_measured(cells), *_derived(cells)),
        )
        for place, (headline, cells) in enumerate(found)
    )
    return Chart(
        "study-c-derived-values",
        "Study C: measured runs, and populations that were computed",
        "Small filled signs are measured runs, four per model. Large open signs were computed between R and RF and "
        "never measured: LB and UB are the lower and the upper bound of the effective size, with the printed spread.",
        panels,
        height=300,
    )


def _measured(cells: Mapping[str, RunCell]) -> list[Series]:
    found = []
    for place, name in enumerate(_MEASURED):
        values = tuple(100 * value for value in cells[name].values)
        texts = tuple(f"{name}, measured: {number(value, 2)}" for value in values)
        found.append(Series("measured run", values, (float(place),) * len(values), 0, 0, "runs", texts))
    return found


def _derived(cells: Mapping[str, RunCell]) -> list[Series]:
    found = []
    for place, size in enumerate(_DERIVED, len(_MEASURED)):
        values = tuple(100 * value for value in population_of(cells, size).values)
        found.append(
            Series(
                name="derived, never measured",
                x=values,
                y=(float(place),) * len(values),
                colour=1,
                symbol=1,
                draw="estimate",
                texts=tuple(f"{size.code}, derived: {number(value, 2)}" for value in values),
                low=(None,) * len(values),
                high=(None,) * len(values),
                hollow=True,
            )
        )
    return found
