"""Study B read again: architectures, granularity, self-supervision and continued pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medtransfer.reports.document import Paragraph, Part, Section
from medtransfer.reports.phrases import listed, number
from medtransfer.reports.published.architecture_ranks import TOP_ONE, top_one_charts, top_one_table
from medtransfer.reports.published.level_charts import difference_chart, mean_rank_chart
from medtransfer.reports.published.level_tables import architecture, levels_table
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.names import STUDY_A, STUDY_B
from medtransfer.reports.published.printed_tests import (
    fit_sentence,
    left_over_sentence,
    printed_comparisons,
    printed_p_table,
)
from medtransfer.reports.published.quantities import signed
from medtransfer.reports.published.rank_reading import rank_sentences, ranks_table, read_ranks
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell

_RESNET: Final = "ResNet-50"
_IN_1K: Final = "ImageNet-1K (supervised)"
_ADAPTED: Final = "ImageNet->MIMIC"


def architectures(material: Material) -> Section:
    """Return twelve networks on eight tasks, and whether ImageNet accuracy foretells their order."""
    results = material.of_table(STUDY_B, "fig_architectures")
    reading = read_ranks([result for result in results if result.task != TOP_ONE], architecture)
    return Section(
        "study-b-architectures",
        "Study B: twelve architectures",
        (
            Paragraph(
                "Twelve networks pretrained on ImageNet with labels, read off a plot of parallel lines. Neither "
                "spreads nor numbers of runs are shown, so no two networks can be tested against each other."
            ),
            levels_table(
                "study-b-architectures-levels",
                "Study B, architectures",
                results,
                row=architecture,
                corner="Network",
            ),
            ranks_table(
                "study-b-architectures-ranks",
                "Ranks of study B's networks",
                reading,
                "Network",
                rank_sentences(reading),
            ),
            *top_one_charts(results),
            top_one_table(results),
            Paragraph(
                "How our reading differs. A higher ImageNet accuracy goes with a better level on some tasks and not "
                "on others; the table says how far the two orders agree. The twelve networks are four families of "
                "three sizes, so they are no twelve independent cases, and these p-values are too small rather than "
                "too large."
            ),
        ),
    )


def granularity(material: Material) -> Section:
    """Return five labelled pretraining collections and the printed p-values of ImageNet-22K."""
    results = material.of_table(STUDY_B, "fig_granularity")
    comparisons = printed_comparisons(results, {"ImageNet-1K": (_IN_1K, _RESNET)})
    ahead, tasks = sum(comparison.difference > 0 for comparison in comparisons), len(comparisons)
    return Section(
        "study-b-granularity",
        "Study B: granularity of the pretraining labels",
        (
            Paragraph(
                "Five labelled collections for pretraining. The paper does not name the network of this figure; its "
                "bars agree with the earlier paper's ResNet-50."
            ),
            levels_table("study-b-granularity-levels", "Study B, granularity", results),
            difference_chart(
                "study-b-granularity-gain", "Study B: difference from ImageNet-1K", results, _IN_1K
            ),
            printed_p_table(
                "study-b-granularity-p", "ImageNet-22K against ImageNet-1K: printed p-values", comparisons
            ),
            Paragraph(
                f"How our reading differs. {fit_sentence(comparisons)} {left_over_sentence(comparisons)} "
                f"ImageNet-22K is ahead on {ahead} of {tasks} tasks. With {tasks} tasks the exact sign test cannot "
                f"go below p = {number(2 / 2**tasks, 4)}, so it cannot be significant at 0.05 whatever the data. "
                "The other collections carry no label."
            ),
        ),
    )


def self_supervised(material: Material) -> Section:
    """Return twenty-two self-supervised methods on five tasks, their ranks, and what study A shows of the same."""
    results = material.of_table(STUDY_B, "fig_ssl22")
    reading = read_ranks(results)
    earlier = material.of_table(STUDY_A, "fig_ssl")
    return Section(
        "study-b-self-supervised",
        "Study B: twenty-two self-supervised methods",
        (
            Paragraph(
                "ResNet-50 pretrained on ImageNet without labels by twenty-two methods, and with labels, read off a "
                "dot plot without spreads."
            ),
            levels_table("study-b-self-supervised-levels", "Study B, self-supervised", results),
            ranks_table(
                "study-b-self-supervised-ranks",
                "Ranks of study B's methods",
                reading,
                "Initialization",
                rank_sentences(reading),
            ),
            mean_rank_chart(
                "study-b-self-supervised-mean-ranks",
                "Study B: mean rank over five tasks",
                "Mean rank over the five tasks, 1 is best. Bars: the range that errors of reading the figure "
                "allow; they say nothing about other runs or patients.",
                reading.spread(),
                reading.critical_difference,
            ),
            shared_cells_table(results, earlier),
            Paragraph(_shared_sentence(results, earlier)),
        ),
    )


def domain_adaptation(material: Material) -> Section:
    """Return continued pretraining of three networks with the printed p-values and labels."""
    resnet = material.of_table(STUDY_B, "fig_domain_adaptive_resnet50")
    others = material.of_table(STUDY_B, "fig_domain_adaptive_swin_convnext")
    with_p = printed_comparisons(resnet, {"ImageNet": ("ImageNet", _RESNET)})
    against = {
        "ImageNet Swin-B": ("ImageNet", "Swin-B"),
        "ImageNet ConvNeXt-B": ("ImageNet", "ConvNeXt-B"),
        "adapted Swin-B": (_ADAPTED, "Swin-B"),
    }
    with_bounds = printed_comparisons(others, against)
    return Section(
        "study-b-domain-adaptation",
        "Study B: continued pretraining of three networks",
        (
            Paragraph("Networks pretrained on ImageNet and then on one large chest X-ray collection."),
            *_resnet_parts(resnet),
            printed_p_table("study-b-domain-adaptation-p", "ResNet-50: printed p-values", with_p),
            Paragraph(f"How our reading differs. {fit_sentence(with_p)} {left_over_sentence(with_p)}"),
            levels_table(
                "study-b-domain-adaptation-others",
                "Study B, Swin-B and ConvNeXt-B",
                others,
                row=_network_and_start,
                corner="Network and initialization",
            ),
            printed_p_table(
                "study-b-domain-adaptation-labels", "Swin-B and ConvNeXt-B: printed labels", with_bounds
            ),
            Paragraph(
                f"{fit_sentence(with_bounds)} Six comparisons are of ConvNeXt with Swin after the same continued "
                "pretraining: a difference there is one of networks, not of pretraining."
            ),
        ),
    )


def shared_cells(
    results: Sequence[PublishedResult], earlier: Sequence[PublishedResult]
) -> list[tuple[PublishedResult, PublishedResult]]:
    """Return the cells that two figures have in common, by task and initialization."""
    found = {(result.task, result.initialization): result for result in earlier}
    pairs = [(result, found.get((result.task, result.initialization))) for result in results]
    return [(result, other) for result, other in pairs if other is not None]


def shared_cells_table(results: Sequence[PublishedResult], earlier: Sequence[PublishedResult]) -> Table:
    """Return, per task, how many cells of two figures agree within the reading errors of both."""
    columns = (
        *(Column("Task"), Column("Cells in both", numeric=True)),
        Column("Agree", "within the reading errors", numeric=True),
        Column("Largest difference", "points", numeric=True),
        Column("Where"),
    )
    pairs = shared_cells(results, earlier)
    rows = []
    for task in dict.fromkeys(result.task for result, _ in pairs):
        own = [(result, other) for result, other in pairs if result.task == task]
        agree = sum(_same(result, other) for result, other in own)
        far = max(own, key=lambda pair: abs(pair[0].mean - pair[1].mean))
        gap = far[0].mean - far[1].mean
        rows.append(
            (
                TableCell(task),
                TableCell(str(len(own)), value=float(len(own))),
                TableCell(str(agree), value=float(agree)),
                TableCell(signed(gap), value=gap),
                TableCell(far[0].initialization),
            )
        )
    caption = "The same methods and tasks in study A's figure and in study B's"
    return Table("study-b-self-supervised-shared", caption, columns, tuple(rows))


def _shared_sentence(results: Sequence[PublishedResult], earlier: Sequence[PublishedResult]) -> str:
    pairs = shared_cells(results, earlier)
    agree = sum(_same(result, other) for result, other in pairs)
    tasks = list(dict.fromkeys(result.task for result, _ in pairs))
    return (
        "How our reading differs. The figure shows no spread and print tests nothing here, so an order of methods "
        f"is all there is. On {listed(tasks)} study A shows {len(pairs)} of the same cells, and {agree} of them have "
        "the same level within the reading errors: most likely they are the same runs, so the second study is no "
        "independent confirmation of the first there."
    )


def _same(result: PublishedResult, other: PublishedResult) -> bool:
    errors = (result.reading_error or 0.0) + (other.reading_error or 0.0)
    return abs(result.mean - other.mean) <= errors + 1e-9


def _resnet_parts(results: Sequence[PublishedResult]) -> tuple[Part, ...]:
    return (
        levels_table("study-b-domain-adaptation-resnet", "Study B, ResNet-50", results),
        difference_chart(
            "study-b-domain-adaptation-gain",
            "Study B, ResNet-50: difference from ImageNet",
            results,
            "ImageNet",
        ),
    )


def _network_and_start(result: PublishedResult) -> str:
    return f"{result.architecture}, {result.initialization}"
