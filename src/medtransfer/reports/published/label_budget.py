"""Study B's differences between two networks at growing numbers of labelled images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.reports.document import Paragraph, Section
from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import NONE
from medtransfer.reports.published.level_tables import Heading, headings
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.names import STUDY_B
from medtransfer.reports.published.quantities import level_text, signed
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell

_COUNT: Final = re.compile(r"(\d+)(K?)")
_PAIR: Final = re.compile(r"(\S+) minus (\S+)")


def label_budget(material: Material) -> Section:
    """Return differences between Swin and ConvNeXt at several numbers of labelled images, as printed."""
    swin = material.of_table(STUDY_B, "fig_label_budget_swin_minus_convnext")
    convnext = material.of_table(STUDY_B, "fig_label_budget_convnext_minus_swin")
    levels = material.of_table(STUDY_B, "fig_architectures")
    return Section(
        "study-b-label-budget",
        "Study B: label budgets",
        (
            Paragraph(
                "Swin against ConvNeXt with more and more labelled images. The paper prints differences in points, "
                "not the levels they come from. The two figures subtract in opposite directions; each is shown as "
                "printed."
            ),
            _table("study-b-label-budget-data", "Swin minus ConvNeXt, on data sets of growing size", swin),
            _table("study-b-label-budget-tasks", "ConvNeXt minus Swin, on tasks of growing size", convnext),
            budget_chart(swin, convnext),
            _recomputed(convnext, levels),
            Paragraph(
                "How our reading differs. A difference without levels, spreads and number of runs cannot be tested "
                "or checked. Where another figure of the paper shows the levels, the table above subtracts them "
                "again. “n.s.” at 86K and 224K images says that no difference was found, not that there is none. "
                "In the second figure the number of images changes together with the task, so that figure alone "
                "cannot tell the effect of one from that of the other."
            ),
        ),
    )


def labelled_images(result: PublishedResult) -> int:
    """Return the number of labelled images as a number.

    Raises:
        DataError: If it is neither a number nor thousands.

    Example:
        >>> labelled_images(PublishedResult("", "", "", "", "", "", 0.0, None, None, "points", labelled_images="86K"))
        86000
    """
    found = _COUNT.fullmatch(result.labelled_images)
    if found is None:
        raise DataError(
            f"labelled images of {result.task}: expected a number such as 529 or 86K, got "
            f"{result.labelled_images!r}. Correct the data file."
        )
    return int(found[1]) * (1000 if found[2] else 1)


def budget_chart(swin: Sequence[PublishedResult], convnext: Sequence[PublishedResult]) -> Chart:
    """Return both figures with one direction, Swin minus ConvNeXt, over the number of labelled images.

    Args:
        swin: Differences Swin minus ConvNeXt.
        convnext: Differences ConvNeXt minus Swin; their sign is turned.
    """
    first = _lines(swin, _start, 1, 0)
    second = _lines(convnext, _turned_pair, -1, 2)
    y = Axis("Swin minus ConvNeXt, points")
    return Chart(
        id="study-b-label-budget-differences",
        title="Study B: Swin minus ConvNeXt over labelled images",
        description=(
            "Left: subsets of ChestX-ray14 and larger data sets. Right: tasks of growing size, where the task "
            "changes with the number of images; the printed sign is turned there. No spread is printed."
        ),
        panels=(
            ChartPanel(_images_axis(swin), y, tuple(first)),
            ChartPanel(_images_axis(convnext), y, tuple(second)),
        ),
        height=380,
    )


def _images_axis(results: Sequence[PublishedResult]) -> Axis:
    ticks = {float(labelled_images(result)): result.labelled_images for result in results}
    return Axis("labelled training images", tuple(sorted(ticks.items())), logarithmic=True)


def _turned_pair(result: PublishedResult) -> str:
    """Return the two networks in the order in which the chart subtracts them.

    Example:
        >>> _turned_pair(PublishedResult("", "", "", "", "", "A minus B", 0.0, None, None, "points"))
        'B minus A'
    """
    return " minus ".join(reversed(result.architecture.split(" minus ")))


def _start(result: PublishedResult) -> str:
    return result.initialization.partition(":")[0]


def _lines(results: Sequence[PublishedResult], group: Heading, sign: int, first_colour: int) -> list[Series]:
    found = []
    for place, name in enumerate(headings(results, group), first_colour):
        own = sorted((r for r in results if group(r) == name), key=labelled_images)
        x, y = tuple(float(labelled_images(r)) for r in own), tuple(sign * r.mean for r in own)
        texts = tuple(f"{r.task}, {r.labelled_images} images: {signed(sign * r.mean)} points" for r in own)
        found += [
            Series(name, x, y, place, draw="line", in_legend=False),
            Series(name, x, y, place, place, "estimate", texts, (None,) * len(own), (None,) * len(own)),
        ]
    return found


def _table(name: str, caption: str, results: Sequence[PublishedResult]) -> Table:
    columns = (
        *(Column("Task"), Column("Labelled images", "as printed", numeric=True), Column("Subtracted")),
        Column("Initialization or networks"),
        *(Column("Printed difference", "points", numeric=True), Column("Printed p", numeric=True)),
    )
    rows = tuple(
        (
            TableCell(result.task),
            TableCell(result.labelled_images, value=float(labelled_images(result))),
            TableCell(result.metric),
            TableCell(f"{result.initialization}, {result.architecture}"),
            TableCell(level_text(result), value=result.mean),
            TableCell(result.printed_tests[0].p if result.printed_tests else NONE),
        )
        for result in results
    )
    return Table(name, caption, columns, rows)


def _recomputed(differences: Sequence[PublishedResult], levels: Sequence[PublishedResult]) -> Table:
    """Return printed differences beside those of the levels another figure shows."""
    shown = {(result.task, result.architecture): result for result in levels}
    columns = (
        *(Column("Task"), Column("Networks"), Column("Printed", "points", numeric=True)),
        Column("From the levels of the other figure", "points", numeric=True),
        Column("Apart", "points", numeric=True),
    )
    rows = []
    for result in differences:
        pair = _PAIR.fullmatch(result.architecture)
        sides = [shown.get((result.task, name)) for name in pair.groups()] if pair else []
        if len(sides) != 2 or sides[0] is None or sides[1] is None:
            continue
        again = sides[0].mean - sides[1].mean
        rows.append(
            (
                TableCell(result.task),
                TableCell(result.architecture),
                TableCell(level_text(result), value=result.mean),
                TableCell(signed(again), value=again),
                TableCell(signed(again - result.mean), value=again - result.mean),
            )
        )
    note = (
        "Each level is read off to about 0.05 points, so up to 0.1 points apart are the reading; printed differences "
        "are rounded besides."
    )
    caption = "Printed differences against the levels in the figure of architectures"
    return Table("study-b-label-budget-check", caption, columns, tuple(rows), notes=(note,))
