"""Study A read again: continued pretraining on chest X-rays, fourteen self-supervised methods, and iNat2021."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from medtransfer.reports.document import Paragraph, Section
from medtransfer.reports.phrases import count, listed, number
from medtransfer.reports.published.assumed_tests import (
    ASSUMPTIONS,
    ONE_SIDED_TEN,
    TWO_SIDED_FIVE,
    MarkedPair,
    disagreements,
    marked_pairs,
)
from medtransfer.reports.published.level_charts import difference_chart, mean_rank_chart
from medtransfer.reports.published.level_tables import levels_table
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.names import STUDY_A
from medtransfer.reports.published.printed_tests import (
    PrintedComparison,
    fit_sentence,
    left_over_sentence,
    printed_bound,
    printed_comparisons,
    printed_p_table,
    surviving_bounds,
)
from medtransfer.reports.published.quantities import p_text, signed
from medtransfer.reports.published.rank_reading import rank_sentences, ranks_table, read_ranks
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.comparisons import Arm, welch_from_summaries
from medtransfer.stats.corrections import holm

_RESNET: Final = "ResNet-50"
_NO_TEST: Final = (
    "The number of runs per cell is not printed, so no test is possible from these summaries. What stands below "
    "under “if n = …” is an assumption each time, to find out which test the print fits; it is no result."
)
_OUR_RULE: Final = (
    "The last two columns are the rule of this package: two-sided Welch tests against the best, printed spreads "
    "taken as population spreads and converted, Holm over the other cells of the task."
)


def domain_adaptation(material: Material) -> Section:
    """Return the table of continued pretraining, its bold and shading, and what they can mean."""
    results = material.of_table(STUDY_A, "table_domain_adaptive")
    pairs = marked_pairs(results)
    closest = min(ASSUMPTIONS, key=lambda assumption: len(disagreements(pairs, assumption)))
    misfits = disagreements(pairs, closest)
    return Section(
        "study-a-domain-adaptation",
        "Study A: continued pretraining on chest X-rays",
        (
            Paragraph(
                "ResNet-50 started from nothing, from ImageNet, from one large chest X-ray collection, or from "
                "ImageNet and then that collection. Print sets the best of a task in bold and shades what is not "
                "significantly different from it."
            ),
            levels_table("study-a-domain-adaptation-printed", "Study A, as printed", results),
            difference_chart(
                "study-a-domain-adaptation-gain", "Study A: difference from ImageNet", results, "ImageNet"
            ),
            Paragraph(
                f"How our reading differs. {_NO_TEST} Of the {len(ASSUMPTIONS)} combinations tried, "
                f"{closest.name}, fits the shading of {len(pairs) - len(misfits)} of {len(pairs)} cells, more "
                f"than any other; it misses {_pairs(misfits)}, which print leaves unshaded although it is closer to "
                "the best than shaded cells of that task. With the ten runs that are told of this study, one-sided, "
                f"{len(disagreements(pairs, ONE_SIDED_TEN))} cells would be shaded differently. So the number of "
                "runs decides what the table says, and it is not printed."
            ),
            _fits_table(pairs),
            Paragraph(
                "Print compares each cell with the best of its task and does not correct for how many cells there "
                "are. A shaded cell is not shown to be as good as the best either: with few runs, large differences "
                "stay unseen."
            ),
            _pairs_table(pairs),
        ),
    )


def self_supervised(material: Material) -> Section:
    """Return fourteen self-supervised methods on seven tasks, their ranks, and what uncorrected labels mean."""
    results = material.of_table(STUDY_A, "fig_ssl")
    reading = read_ranks(results)
    comparisons = printed_comparisons(results, {"baseline": ("ImageNet (supervised)", _RESNET)})
    cells = [result for result in results if result.initialization != "ImageNet (supervised)"]
    return Section(
        "study-a-self-supervised",
        "Study A: fourteen self-supervised methods",
        (
            Paragraph(
                "ResNet-50 pretrained on ImageNet without labels by fourteen methods, and with labels. All levels "
                "are read off a bar chart, to 0.1 points."
            ),
            levels_table("study-a-self-supervised-levels", "Study A, read off the figure", results),
            ranks_table(
                "study-a-self-supervised-ranks",
                "Ranks of study A's methods",
                reading,
                "Initialization",
                rank_sentences(reading),
            ),
            mean_rank_chart(
                "study-a-self-supervised-mean-ranks",
                "Study A: mean rank over seven tasks",
                "Mean rank over the seven tasks, 1 is best. Bars: the range that errors of reading the figure "
                "allow; they say nothing about other runs or patients.",
                reading.spread(),
                reading.critical_difference,
            ),
            Paragraph(_uncorrected(comparisons, len(cells))),
            _labels_table(comparisons, len(cells)),
        ),
    )


def inat(material: Material) -> Section:
    """Return ImageNet against iNat2021 with the printed p-values."""
    results = material.of_table(STUDY_A, "fig_inat")
    comparisons = printed_comparisons(results, {"ImageNet": ("ImageNet", _RESNET)})
    table = printed_p_table("study-a-inat-p", "iNat2021 against ImageNet: printed p-values", comparisons)
    return Section(
        "study-a-inat",
        "Study A: iNat2021 against ImageNet",
        (
            Paragraph(
                "ResNet-50 pretrained with labels on iNat2021, which has finer classes than ImageNet, on seven "
                "tasks. Scratch and ImageNet are printed in another table of the paper for five of them."
            ),
            levels_table("study-a-inat-levels", "Study A, iNat2021", results),
            difference_chart("study-a-inat-gain", "Study A: difference from ImageNet", results, "ImageNet"),
            table,
            Paragraph(
                f"How our reading differs. {fit_sentence(comparisons)} {left_over_sentence(comparisons)}"
            ),
        ),
    )


def _fits_table(pairs: Sequence[MarkedPair]) -> Table:
    columns = (
        *(Column("Runs per cell", numeric=True), Column("Sides"), Column("Test"), Column("Printed spread")),
        Column("Cells that fit", f"of {len(pairs)}", numeric=True),
        Column("Cells that do not"),
    )
    found = [(assumption, disagreements(pairs, assumption)) for assumption in ASSUMPTIONS]
    rows = tuple(
        (
            *(TableCell(text) for text in (str(a.n), a.sided, a.test, f"{a.spread} spread")),
            TableCell(str(len(pairs) - len(misfits)), value=float(len(pairs) - len(misfits))),
            TableCell(_pairs(misfits)),
        )
        for a, misfits in sorted(found, key=lambda entry: len(entry[1]))
    )
    return Table(
        "study-a-domain-adaptation-fits",
        "Assumptions: which unstated test the printed shading fits",
        columns,
        rows,
        notes=(
            "A cell fits when the p-value against the bold cell of its task is 0.05 or more exactly if it is shaded.",
        ),
    )


def _pairs_table(pairs: Sequence[MarkedPair]) -> Table:
    columns = (
        *(
            Column("Task"),
            Column("Initialization"),
            Column("Difference from the best", "points", numeric=True),
        ),
        Column("Printed"),
        Column("p if n = 5, two-sided", numeric=True),
        Column("p if n = 10, one-sided", numeric=True),
        Column("Our standing if n = 5"),
        Column("Our standing if n = 10"),
    )
    standings = {n: _standings(pairs, n) for n in (5, 10)}
    rows = tuple(
        (
            TableCell(pair.other.task),
            TableCell(pair.other.initialization),
            TableCell(signed(_gap(pair)), value=_gap(pair)),
            TableCell("shaded" if pair.shaded else "not shaded"),
            *(
                _p_cell(assumption.p_value(pair.best, pair.other))
                for assumption in (TWO_SIDED_FIVE, ONE_SIDED_TEN)
            ),
            *(TableCell(standings[n][place]) for n in (5, 10)),
        )
        for place, pair in enumerate(pairs)
    )
    return Table(
        "study-a-domain-adaptation-cells",
        "Every cell against the best of its task, under two assumptions",
        columns,
        rows,
        notes=(
            "“If n = …” is an assumption about the number of runs, not a result; the p-values are Student's.",
            _OUR_RULE,
        ),
    )


def _standings(pairs: Sequence[MarkedPair], n: int) -> list[str]:
    """Return our standing of every pair's second cell if each cell had n runs."""
    found: dict[int, str] = {}
    by_task: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        by_task.setdefault(pair.other.task, []).append(place)
    for members in by_task.values():
        raw = [welch_from_summaries(_arm(pairs[m].best, n), _arm(pairs[m].other, n)).p for m in members]
        for m, p in zip(members, holm(raw).values, strict=True):
            found[m] = "undetermined" if p is None else "separated" if p < 0.05 else "not separable"
    return [found[place] for place in range(len(pairs))]


def _arm(result: PublishedResult, n: int) -> Arm:
    """Return a cell as if it had n runs; the printed spread divides by n."""
    return Arm(n, result.mean, None if result.std is None else result.std * (n / (n - 1)) ** 0.5)


def _uncorrected(comparisons: Sequence[PrintedComparison], cells: int) -> str:
    above = [c for c in comparisons if c.printed.above]
    survive = surviving_bounds(above, cells)
    return (
        f"How our reading differs. {cells} cells stand beside the supervised baseline; print labels "
        f"{len(comparisons)} of them and corrects none. If no method differed from the baseline, about "
        f"{number(cells * 0.05, 0)} of {cells} two-sided tests at 0.05 would still be called significant. Print "
        f"calls {len(above)} cells significantly above: {survive} with p < 0.0001, which holds after Bonferroni's "
        f"correction over all {cells}, and {len(above) - survive} with wider bounds, of which print does not tell. "
        f"{sum(c.printed.p == 'n.s.' for c in comparisons)} cells are called not significant; none of them is "
        "thereby shown to be equal to the baseline."
    )


def _labels_table(comparisons: Sequence[PrintedComparison], cells: int) -> Table:
    groups: Mapping[str, list[PrintedComparison]] = {
        label: [c for c in comparisons if c.printed.p == label]
        for label in dict.fromkeys(c.printed.p for c in sorted(comparisons, key=_bound))
    }
    rows = [
        (
            TableCell("n.s." if label == "n.s." else f"p {label}"),
            TableCell(str(len(found)), value=float(len(found))),
            TableCell(_verdict(found[0], cells)),
            TableCell(_members(found) if label != "n.s." else count(len(found), "cell")),
        )
        for label, found in groups.items()
    ]
    missing = cells - len(comparisons)
    rows.append(
        (
            TableCell("no label"),
            TableCell(str(missing), value=float(missing)),
            TableCell("print makes no statement"),
            TableCell(count(missing, "cell")),
        )
    )
    columns = (
        Column("Printed label"),
        Column("Cells", numeric=True),
        Column(f"After correction over {cells}"),
        Column("Which"),
    )
    return Table(
        "study-a-self-supervised-labels",
        "Printed labels against the supervised baseline",
        columns,
        tuple(rows),
    )


def _bound(comparison: PrintedComparison) -> float:
    bound = printed_bound(comparison)
    return 1.0 if bound is None else bound


def _verdict(comparison: PrintedComparison, cells: int) -> str:
    bound = printed_bound(comparison)
    if bound is None:
        return "no claim"
    if bound * cells <= 0.05:
        return f"holds: {bound:g} times {cells} is below 0.05"
    return "open: the bound is too wide to tell"


def _members(comparisons: Sequence[PrintedComparison]) -> str:
    tasks: dict[str, list[str]] = {}
    for comparison in comparisons:
        tasks.setdefault(comparison.result.task, []).append(comparison.result.initialization)
    return "; ".join(f"{task}: {', '.join(names)}" for task, names in tasks.items())


def _pairs(pairs: Sequence[MarkedPair]) -> str:
    return listed([f"{pair.other.initialization} on {pair.other.task}" for pair in pairs], 10) or "–"


def _gap(pair: MarkedPair) -> float:
    return pair.other.mean - pair.best.mean


def _p_cell(p: float | None) -> TableCell:
    return TableCell(p_text(p), value=p)
