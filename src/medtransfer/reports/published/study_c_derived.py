"""Study C's headline figures: from a derived population, as printed, with the measured runs beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from medtransfer.reports.document import Notice, Paragraph, Part, Section
from medtransfer.reports.published.derived_chart import headlines_chart
from medtransfer.reports.published.derived_tables import (
    HEADLINES,
    Headline,
    Shown,
    every_score_table,
    headlines_table,
    spreads_table,
)
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.run_cells import RunCell, Score, run_cells, scores

_NEEDED: Final = ("I1k", "R", "RF")


def derived(material: Material) -> Section:
    """Return the headline figures as derived, and beside them what was measured."""
    cells = _complete_cells(material)
    found = [(headline, _cells_of(headline, cells)) for headline in HEADLINES]
    shown = [(headline, members) for headline, members in found if members is not None]
    return Section(
        "study-c-derived",
        "Study C: derived populations, and the measured runs beside them",
        (
            Notice(
                "caution",
                "The columns called “derived” hold values that were computed from other results and that nobody "
                "measured. Their p-values are quotations of the study's procedure, not tests.",
            ),
            Paragraph(
                "Slices of one scan resemble each other, so a collection of CT slices holds less variety than its "
                "size says. Study C estimates by how much (factors 1.136, the lower bound LB, and 3.807, the upper "
                "bound UB), interpolates between the results of pretraining on 1.28 and on 12 million slices, draws "
                "four values of the interpolated mean and spread, and tests them against the runs of ImageNet "
                "pretraining. The three figures of its abstract come from the UB population."
            ),
            *_headline_parts(shown),
            Paragraph(
                "How our reading differs. The derived population follows the printed formulas here and gives the "
                "printed figures. The runs of R that were measured say something else: on R fine-tuned and on 1 % "
                "of R the measured differences are smaller, and with a frozen encoder the measured difference is "
                "about the same and its p-value far smaller, because the printed formula of the error is too wide. "
                "That formula treats slope and intercept of a line through two points as independent. The last "
                "columns of the next table show the spread with the variances of the two ends weighed instead. A "
                "corrected spread does not make the population measured: it stays out of every test of ours."
            ),
            *([spreads_table(shown)] if shown else ()),
        ),
        (
            Section(
                "study-c-derived-all",
                "Every score",
                (every_score_table(cells),) if cells else (Paragraph("No score has runs of I1k, R and RF."),),
            ),
        ),
    )


def _complete_cells(material: Material) -> dict[Score, dict[str, RunCell]]:
    """Return the scores with two runs at least of the three models a derived population needs."""
    wanted = [score for code in ("E1", "E2", "E4") for score in scores(material.runs, code)]
    return {
        score: found
        for score, found in run_cells(material.runs, wanted).items()
        if all(name in found and len(found[name].runs) > 1 for name in _NEEDED)
    }


def _cells_of(
    headline: Headline, cells: Mapping[Score, Mapping[str, RunCell]]
) -> Mapping[str, RunCell] | None:
    places = [
        score for score in cells if (score.experiment, score.task) == (headline.experiment, headline.task)
    ]
    return cells[places[0]] if places else None


def _headline_parts(shown: list[Shown]) -> tuple[Part, ...]:
    return (headlines_table(shown), headlines_chart(shown)) if shown else ()
