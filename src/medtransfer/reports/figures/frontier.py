"""The cost-quality frontier of a task: what each model reaches, against what its training took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.figures.ticks import logarithmic_limits, logarithmic_ticks
from medtransfer.reports.phrases import listed, percent
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import interval_lines, value_text
from medtransfer.store.records import Outcome

_HEIGHT = 460
_SYMBOLS = 8
_FRONT = 6


@dataclass(frozen=True)
class Cost:
    """One kind of cost."""

    title: str
    """Axis title, with unit."""
    words: str
    """Name in a sentence."""
    higher_is_better: bool = False
    """Direction."""


COSTS = (
    Cost("Training time (CPU seconds)", "training time"),
    Cost("Trained parameters (millions)", "parameters"),
    Cost("Training images per second", "images per second", higher_is_better=True),
)
"""What a training costs; one panel each."""


@dataclass(frozen=True)
class Trained:
    """A cell with its costs."""

    model: ReportModel
    """Its source model."""
    place: int
    """Number of the model, for its colour and sign."""
    estimate: Estimate
    """Primary metric on test."""
    costs: Mapping[str, float]
    """Cost by axis title, mean over finished runs; only what every run recorded."""


def frontier_charts(reading: StudyReading, task: ReportTask) -> list[Chart]:
    """Return a chart for every protocol that trains a network, at its largest label fraction.

    Heads on stored features have no chart: their features are computed once for many trials, so
    that no trial has a training time of its own.
    """
    rows = list(reading.rows_of(task, most_labels=True))
    trained = {panel.number: [*_trained(reading, task, row.cells)] for panel, row in rows}
    without = [panel.block.label for panel, _ in rows if not trained[panel.number]]
    return [
        _chart(reading, task, panel, trained[panel.number], without)
        for panel, _ in rows
        if trained[panel.number]
    ]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which points no other point beats in both coordinates, by the first coordinate.

    Args:
        points: Cost and quality, lower cost and higher quality being better.

    Example:
        >>> pareto_front([(1, .7), (2, .6), (3, .9), (3, .8)])
        [0, 2]
    """
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1]))
    front: list[int] = []
    for place in order:
        cost, quality = points[place]
        if not front or quality > points[front[-1]][1] or (cost, quality) == points[front[-1]]:
            front.append(place)
    return front


def _trained(reading: StudyReading, task: ReportTask, cells: Mapping[str, Cell]) -> Iterator[Trained]:
    for place, (key, model) in enumerate(reading.models.items()):
        estimate = cells[key].estimates.get(Slot(task.primary.name)) if key in cells else None
        if estimate is None or estimate.mean is None:
            continue
        outcomes = [record.outcome for record in cells[key].finished if record.outcome]
        costs = _costs(outcomes)
        if costs:
            yield Trained(model, place, estimate, costs)


def _costs(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return what the runs of a cell cost; nothing for heads on stored features."""
    if not all(outcome.details.get("cases_seen") for outcome in outcomes):
        return {}
    found = {
        COSTS[0].title: [outcome.cpu_s for outcome in outcomes],
        COSTS[1].title: [float(outcome.details.get("trained_parameters") or 0) / 1e6 for outcome in outcomes],
        COSTS[2].title: [
            float(outcome.details["cases_seen"]) / outcome.duration_s if outcome.duration_s > 0 else 0.0
            for outcome in outcomes
        ],
    }
    return {title: fmean(values) for title, values in found.items() if min(values) > 0}


def _chart(
    reading: StudyReading, task: ReportTask, panel: Panel, trained: Sequence[Trained], without: Sequence[str]
) -> Chart:
    costs = [cost for cost in COSTS if any(cost.title in found.costs for found in trained)]
    fronts = {cost.words: _front(task, cost, trained) for cost in costs}
    return Chart(
        id=f"frontier-{reading.number_of(task)}-{panel.number + 1}",
        title=f"{task.label}: cost and quality, {panel.block.label}, {percent(panel.fraction)} of the labels",
        description=_description(task, trained, fronts, without),
        panels=tuple(_panel(task, cost, trained, fronts[cost.words]) for cost in costs),
        height=_HEIGHT,
    )


def _front(task: ReportTask, cost: Cost, trained: Sequence[Trained]) -> list[Trained]:
    known = [found for found in trained if cost.title in found.costs]
    sign = -1 if cost.higher_is_better else 1
    points = [
        (sign * found.costs[cost.title], task.primary.sign * (found.estimate.mean or 0.0)) for found in known
    ]
    return [known[place] for place in pareto_front(points)]


def _panel(task: ReportTask, cost: Cost, trained: Sequence[Trained], front: Sequence[Trained]) -> ChartPanel:
    line = Series(
        name="not beaten in both",
        x=tuple(found.costs[cost.title] for found in front),
        y=tuple(found.estimate.mean for found in front),
        colour=_FRONT,
        draw="line",
        dashed=True,
    )
    known = [found for found in trained if cost.title in found.costs]
    values = [found.costs[cost.title] for found in known]
    ticks = logarithmic_ticks(values)
    return ChartPanel(
        Axis(cost.title, ticks, logarithmic=True, limits=logarithmic_limits(values, ticks)),
        Axis(f"{task.primary.title} (test)"),
        (line, *(_point(cost, found) for found in known)),
    )


def _point(cost: Cost, found: Trained) -> Series:
    estimate = found.estimate
    said = f"{found.model.label}: {value_text(estimate)}\n{' '.join(interval_lines(estimate))}"
    return Series(
        name=found.model.label,
        x=(found.costs[cost.title],),
        y=(estimate.mean,),
        texts=(f"{said}\n{cost.words} {found.costs[cost.title]:,.4g}",),
        low=(estimate.low,),
        high=(estimate.high,),
        colour=found.place,
        symbol=found.place // _SYMBOLS + found.place,
        draw="estimate",
        hollow=estimate.over == "test patients",
    )


def _description(
    task: ReportTask,
    trained: Sequence[Trained],
    fronts: Mapping[str, Sequence[Trained]],
    without: Sequence[str],
) -> str:
    told = "; ".join(
        f"{words}: {listed([found.model.label for found in front], most=8)}"
        for words, front in fronts.items()
    )
    text = (
        f"{task.primary.title} on test, with its 95 % interval, against the mean cost of a run. The dashed line "
        f"joins the models that no other model beats in cost and quality at once ({told}); differences along "
        "it may be no larger than their intervals. Times depend on the machine and on what else it did."
    )
    missing = [cost.words for cost in COSTS if any(cost.title not in found.costs for found in trained)]
    if missing:
        text += f" Not recorded for every model: {listed(missing)}."
    if without:
        text += (
            f" No costs of its own has a trial of {listed(list(without))}: features are computed once for many "
            "trials."
        )
    return text
