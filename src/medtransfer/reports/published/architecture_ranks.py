"""Whether the ImageNet accuracy of a network foretells its order on a task: rank correlations and scatter plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy import stats

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import number
from medtransfer.reports.published.level_tables import headings
from medtransfer.reports.published.quantities import p_text, signed
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.corrections import holm

TOP_ONE: Final = "ImageNet-1K top-1"
"""Task under which study B shows the accuracy on ImageNet."""
_PANELS: Final = 3


@dataclass(frozen=True)
class OrderAgreement:
    """How far the order of networks on a task agrees with their order on ImageNet."""

    task: str
    """Task."""
    metric: str
    """Metric as printed."""
    networks: int
    """Networks with both numbers."""
    spearman: float
    """Spearman's rank correlation, in [-1, 1]."""
    kendall: float
    """Kendall's tau-b, in [-1, 1]."""
    p: float
    """Two-sided p-value of tau, exact without ties; too small where networks come in families."""


def order_agreements(results: Sequence[PublishedResult]) -> list[OrderAgreement]:
    """Compare the order of networks on every task with their order on ImageNet.

    Args:
        results: One level per network and task, and one accuracy on ImageNet per network.
    """
    accuracy = {result.architecture: result.mean for result in results if result.task == TOP_ONE}
    found = []
    for task in headings(results, lambda result: result.task):
        members = [r for r in results if r.task == task and task != TOP_ONE and r.architecture in accuracy]
        if len(members) < 3:
            continue
        pairs = [accuracy[r.architecture] for r in members], [r.mean for r in members]
        tau = stats.kendalltau(*pairs)
        rho = float(stats.spearmanr(*pairs).statistic)
        found.append(
            OrderAgreement(
                task, members[0].metric, len(members), rho, float(tau.statistic), float(tau.pvalue)
            )
        )
    return found


def top_one_table(results: Sequence[PublishedResult]) -> Table:
    """Return the rank correlations of every task with ImageNet accuracy."""
    agreements = order_agreements(results)
    adjusted = holm([agreement.p for agreement in agreements]).values
    columns = (
        *(Column("Task"), Column("Metric"), Column("Networks", numeric=True)),
        *(Column("Spearman's rho", numeric=True), Column("Kendall's tau", numeric=True)),
        *(Column("p of tau", "two-sided", numeric=True), Column("p, Holm", numeric=True)),
    )
    rows = tuple(
        (
            *(TableCell(text) for text in (found.task, found.metric, str(found.networks))),
            *(TableCell(signed(value), value=value) for value in (found.spearman, found.kendall)),
            *(TableCell(p_text(p), value=p) for p in (found.p, by_holm)),
        )
        for found, by_holm in zip(agreements, adjusted, strict=True)
    )
    return Table(
        "study-b-architectures-correlations",
        "Order of the networks on ImageNet and on each task",
        columns,
        rows,
        notes=(
            f"Holm over the {len(agreements)} tasks. Levels are read off a figure, to about 0.05 points.",
        ),
    )


def top_one_charts(results: Sequence[PublishedResult]) -> list[Chart]:
    """Return levels against ImageNet accuracy, a panel per task, at most three side by side."""
    tasks = [result for result in results if result.task != TOP_ONE]
    charts = []
    for metric in headings(tasks, lambda result: result.metric):
        names = headings([r for r in tasks if r.metric == metric], lambda result: result.task)
        charts += [_chart(results, metric, names[at : at + _PANELS]) for at in range(0, len(names), _PANELS)]
    return charts


def _chart(results: Sequence[PublishedResult], metric: str, tasks: Sequence[str]) -> Chart:
    accuracy = {result.architecture: result.mean for result in results if result.task == TOP_ONE}
    members = [r for r in results if r.task in tasks and r.architecture in accuracy]
    families = headings(results, _family)
    panels = tuple(
        ChartPanel(
            Axis("ImageNet top-1 in %"),
            Axis(f"{task}, {metric}"),
            tuple(_points([r for r in members if r.task == task], accuracy, families)),
        )
        for task in tasks
    )
    return Chart(
        id=f"study-b-architectures-{'-'.join(tasks).lower()}",
        title=f"Study B: {', '.join(tasks)} against ImageNet accuracy",
        description="Every sign is a network; colours are families. Read off a figure, without spreads.",
        panels=panels,
        height=330,
    )


def _points(
    members: Sequence[PublishedResult], accuracy: dict[str, float], families: Sequence[str]
) -> list[Series]:
    found = []
    for place, family in enumerate(families):
        own = [result for result in members if _family(result) == family]
        found.append(
            Series(
                name=family,
                x=tuple(accuracy[result.architecture] for result in own),
                y=tuple(result.mean for result in own),
                colour=place,
                symbol=place,
                draw="estimate",
                texts=tuple(f"{r.architecture}: {number(r.mean, 2)}" for r in own),
                low=(None,) * len(own),
                high=(None,) * len(own),
                hollow=True,
            )
        )
    return found


def _family(result: PublishedResult) -> str:
    return result.architecture.partition("-")[0]
