"""Study C's time to convergence from imported validation curves, with censoring in place of a sentinel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from medtransfer.reports.document import Paragraph, Section
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import count, listed, number
from medtransfer.reports.published.convergence import (
    SENTINEL,
    TOLERANCE,
    WINDOW,
    Convergence,
    time_to_convergence,
)
from medtransfer.reports.published.level_tables import used_legend
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.records import MeasuredCurve
from medtransfer.reports.published.run_cells import INITIALIZATIONS, Score, scores
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell

EXPERIMENTS: Final[Mapping[str, str]] = {
    "E1": "Fine-tuned on all data (E1)",
    "E2": "Fine-tuned on reduced data (E2)",
    "E3": "With noise (E3)",
    "E4": "Frozen encoder (E4)",
    "E6": "Mixed pretraining, fine-tuned (E6)",
    "E8": "Mixed pretraining, frozen encoder (E8)",
}
"""Groups of runs, with their titles."""
NO_CURVES: Final = (
    "Curves come from the study's log folder only, which is not part of this package. Import it with "
    "“medtransfer import FOLDER --store STORE” and name the store."
)
"""What to do where there is none."""
_LEGEND: Final = (
    LegendEntry(
        "c",
        "censored: a run did not converge within its epochs, so its time is later",
        "undetermined",
    ),
    LegendEntry("–", "no such curves", "absent"),
)


@dataclass(frozen=True)
class CellConvergence:
    """The runs of one model under one score."""

    runs: Mapping[int, Convergence]
    """By number of the run."""

    @property
    def censored(self) -> int:
        """Number of runs that did not converge."""
        return sum(run.censored for run in self.runs.values())

    @property
    def undefined(self) -> list[str]:
        """Why runs have no time, each reason once."""
        return list(dict.fromkeys(run.reason for run in self.runs.values() if run.reason))

    @property
    def epochs(self) -> list[int]:
        """Positions of the runs that converged, in the order of the runs."""
        return [run.epoch for _, run in sorted(self.runs.items()) if run.epoch is not None]

    @property
    def mean(self) -> float | None:
        """Mean position; null unless every run converged, for a mean over the others would be too early."""
        return sum(self.epochs) / len(self.epochs) if len(self.epochs) == len(self.runs) else None

    @property
    def mean_as_printed(self) -> float | None:
        """What study C averages, 100 standing for runs that did not converge; null where one is undefined."""
        return None if self.undefined else sum(run.as_printed for run in self.runs.values()) / len(self.runs)


def convergence(material: Material) -> Section:
    """Return when validation curves came close to where they ended."""
    lead = Paragraph(
        f"Study C's definition: with m the mean of the last {WINDOW} values of the validation metric, the first "
        f"epoch, counted from 0 and at least five before the end, whose value is within {100 * TOLERANCE:g} % of m."
    )
    difference = Paragraph(
        f"How our reading differs. Where no epoch qualifies, print writes {SENTINEL} and averages it with the "
        "others, although most tasks were trained for 50 epochs. Here such a run is censored: its time is not known, "
        "only that it is later, and no mean is given for a cell that holds one. The definition looks back from the "
        "end of training, so that a longer training moves the level and the time with it; and a curve may leave the "
        "band again. Print's average stands beside ours for recognition."
    )
    if not material.curves:
        return Section(
            "study-c-convergence", "Study C: time to convergence", (lead, difference, Paragraph(NO_CURVES))
        )
    return Section(
        "study-c-convergence",
        "Study C: time to convergence",
        (lead, difference),
        tuple(_experiment(material.curves, code) for code in EXPERIMENTS if scores(material.curves, code)),
    )


def convergence_cells(
    curves: Sequence[MeasuredCurve], experiment: str
) -> dict[Score, dict[str, CellConvergence]]:
    """Return the convergence of every cell of an experiment, by score and initialization."""
    return {
        score: {
            name: CellConvergence({c.run: time_to_convergence(c.values) for c in own})
            for name, own in cells.items()
        }
        for score, cells in _curves_by_cell(curves, experiment).items()
    }


def convergence_table(curves: Sequence[MeasuredCurve], experiment: str) -> Table:
    """Return the time to convergence of every cell of an experiment, a score per row."""
    cells = convergence_cells(curves, experiment)
    models = [name for name in INITIALIZATIONS if any(name in found for found in cells.values())]
    columns = (Column("Task and metric"), *(Column(name, numeric=True) for name in models))
    rows = [
        (TableCell(score.label), *(_cell(found.get(name)) for name in models))
        for score, found in cells.items()
    ]
    return Table(
        f"study-c-convergence-{experiment.lower()}",
        f"{EXPERIMENTS[experiment]}: epochs to convergence",
        columns,
        tuple(rows),
        used_legend(rows, _LEGEND),
        (f"“As printed” puts {SENTINEL} for every censored run. n is the number of epochs of a run.",),
    )


def curves_chart(score: Score, cells: Mapping[str, Sequence[MeasuredCurve]]) -> Chart:
    """Return the validation curves of one score, a line per run and a colour per model."""
    name = f"{score.experiment}-{score.task}-{score.metric}".lower().replace("_", "-")
    series = tuple(
        Series(
            model,
            tuple(map(float, curve.epochs)),
            curve.values,
            list(INITIALIZATIONS).index(model),
            draw="line",
        )
        for model, curves in cells.items()
        for curve in curves
    )
    return Chart(
        f"curves-{name}",
        f"{score.label}: validation over epochs",
        "A line per run, a colour per model. Epochs are counted from 0, as in the logs.",
        (ChartPanel(Axis("epoch"), Axis(score.metric_name), series),),
        height=360,
    )


def _experiment(curves: Sequence[MeasuredCurve], experiment: str) -> Section:
    charts = tuple(curves_chart(score, cells) for score, cells in _curves_by_cell(curves, experiment).items())
    name = f"study-c-convergence-{experiment.lower()}"
    drawn = Section(f"{name}-curves", "Curves", charts, folded=True)
    return Section(
        f"{name}-times", EXPERIMENTS[experiment], (convergence_table(curves, experiment),), (drawn,)
    )


def _curves_by_cell(
    curves: Sequence[MeasuredCurve], experiment: str
) -> dict[Score, dict[str, list[MeasuredCurve]]]:
    by_place: dict[tuple[str, str], list[MeasuredCurve]] = {}
    for curve in curves:
        if curve.experiment == experiment:
            by_place.setdefault((curve.task, curve.metric), []).append(curve)
    found: dict[Score, dict[str, list[MeasuredCurve]]] = {}
    for score in scores(curves, experiment):
        own = by_place.get((score.task, score.metric), [])
        cells = {name: [curve for curve in own if curve.initialization == name] for name in INITIALIZATIONS}
        kept = {
            name: sorted(members, key=lambda curve: curve.run) for name, members in cells.items() if members
        }
        if kept:
            found[score] = kept
    return found


def _cell(cell: CellConvergence | None) -> TableCell:
    if cell is None:
        return TableCell("–", tone="absent")
    lengths = listed([str(n) for n in sorted({run.epochs for run in cell.runs.values()})])
    printed = cell.mean_as_printed
    details = [
        f"runs: {', '.join(_run_text(run) for _, run in sorted(cell.runs.items()))}",
        f"n = {lengths}",
        *([] if printed is None else [f"as printed {number(printed, 1)}"]),
    ]
    if cell.undefined:
        return TableCell("undefined", (*details, *cell.undefined), tone="undetermined")
    if cell.mean is None:
        text = f"{count(cell.censored, 'run')} of {len(cell.runs)} censored"
        return TableCell(text, tuple(details), "c", "undetermined")
    return TableCell(number(cell.mean, 1), tuple(details), value=cell.mean)


def _run_text(run: Convergence) -> str:
    if run.epoch is not None:
        return str(run.epoch)
    return "undefined" if run.reason else f"> {run.epochs - 5}"
