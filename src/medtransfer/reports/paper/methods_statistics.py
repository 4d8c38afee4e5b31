"""Methods in words: metrics, intervals, tests with sidedness and correction, as far as the study has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medtransfer.metrics.declared_metrics import Metric
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.paper.prose import Passage, Piece, cite, sentences
from medtransfer.reports.phrases import count, listed, number
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.ranks import NORMALISATION, why_no_critical_difference
from medtransfer.reports.tables.scores_over_tasks import scores_over_tasks
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.ranks import FEWEST_TASKS
from medtransfer.stats.ties import TieGroup
from medtransfer.stats.wording import PATIENTS_NOTE, PRETRAINING_NOTE, RUNS_NOTE

_METRIC_WORKS = {"auc": "hanley1982roc", "dice": "dice1945association"}


def metrics_passage(reading: StudyReading) -> Passage:
    """Return every metric of the study with its version and what it does in degenerate cases."""
    found: dict[str, Metric] = {m.name: m for task in reading.tasks.values() for m in task.metrics}
    pieces: list[Piece] = []
    for metric in found.values():
        pieces.append(f" {metric.title} (version {metric.version})")
        pieces += cite(_METRIC_WORKS.get(metric.name.partition("-")[0]))
        direction = "higher is better" if metric.higher_is_better else "lower is better"
        pieces.append(f", {direction}: {metric.edge_policy}")
    return Passage("Metrics", tuple(pieces))


def intervals_passage(reading: StudyReading) -> Passage:
    """Return what the intervals are over and how they were computed; says so when there are none."""
    estimates = list(_primary_estimates(reading))
    pieces: list[Piece] = []
    if any(estimate.over == "training runs" for estimate in estimates):
        pieces.append(
            " Results that depend on a seed are means over runs with the sample standard deviation and the "
            "95 % t interval of the mean"
        )
        pieces += [*cite("student1908mean"), f". {RUNS_NOTE}"]
    patients = [estimate for estimate in estimates if estimate.over == "test patients"]
    if patients:
        draws = listed(sorted({f"{e.draws:,}" for e in patients if e.draws}))
        pieces.append(
            " Results that no seed can change have a 95 % percentile interval from a bootstrap of whole test "
            "patients"
        )
        pieces += cite("field2007clustered")
        pieces.append(
            f" ({draws} draws, the same for all models of a task, seeded by the data). {PATIENTS_NOTE}"
        )
    if any(getattr(estimate, "crossed", None) for estimate in estimates):
        pieces.append(
            " Where predictions of several runs are stored, a second interval draws runs and patients again "
            "at once."
        )
    if not pieces:
        pieces.append(" No result of this study has an interval: that needs two runs, or stored predictions.")
    pieces.append(f" {PRETRAINING_NOTE}")
    return Passage("Estimates and intervals", tuple(pieces))


def tests_passage(reading: StudyReading) -> Passage | None:
    """Return which tests compared the models of a task; None when nothing was compared."""
    groups = [row.ties for panel in reading.panels for row in panel.rows if row.ties is not None]
    compared = [c for group in groups for c in group.comparisons.values()]
    if not compared:
        return None
    pieces: list[Piece] = [
        " In each row the model with the best mean was compared with every other one",
    ]
    for number_of, name in enumerate(dict.fromkeys(_test(comparison) for comparison in compared)):
        pieces += [": " if number_of == 0 else ", or ", name]
        pieces += cite("welch1947" if "Welch" in name else "field2007clustered")
    pieces += _corrected(groups)
    pieces.append(
        ". Models that were not told from the best are called not separable, which is no proof that they are "
        "as good; the smallest difference that would have been found with a chance of 80 % is stated beside."
    )
    pieces += _pairs(reading)
    return Passage("Comparisons", tuple(pieces))


def equivalence_passage(reading: StudyReading) -> Passage | None:
    """Return the margins within which models may be called equivalent; None where nothing was compared."""
    if not any(row.ties for panel in reading.panels for row in panel.rows):
        return None
    margins: dict[str, list[str]] = {}
    for task in reading.tasks.values():
        margins.setdefault(
            f"{number(task.equivalence_margin)} {task.primary.title}", []
        ).append(task.label)  # fmt: skip
    told = "; ".join(f"{margin} for {listed(labels, most=9)}" for margin, labels in margins.items())
    return Passage(
        "Equivalence",
        (
            "Two models are called equivalent only where two one-sided tests",
            *cite("schuirmann1987tost"),
            f" place their difference within a margin that the task declares: {told}.",
        ),
    )


def over_tasks_passage(reading: StudyReading) -> Passage | None:
    """Return how models were compared over tasks; None where no panel has tasks that all models share."""
    found = [scores_over_tasks(reading, panel) for panel in reading.panels]
    found = [scores for scores in found if scores.comparable and len(scores.models) > 1]
    if not found:
        return None
    pieces: list[Piece] = [
        " Over tasks on which every model has a value, models are ordered by mean rank of the primary metric",
        *cite("demsar2006"),
        ", with a bootstrap interval over tasks. Beside stand the share of wins over other models, ",
        "the chance that a run outperforms one of another model",
        *cite("bouthillier2021variance"),
        " and the interquartile mean of normalised runs",
        *cite("agarwal2021precipice"),
        f". {NORMALISATION}",
    ]
    if any(min(scores.values.shape[0], scores.values.shape[1] - 1) > 1 for scores in found):
        pieces += [
            " Friedman's test",
            *cite("friedman1937ranks"),
            " with Iman and Davenport's F",
            *cite("iman1980friedman"),
            " asks whether all models are alike.",
        ]
    if any(not why_no_critical_difference(scores) for scores in found):
        pieces += [
            f" With {FEWEST_TASKS} tasks or more, pairs are tested by Wilcoxon's signed ranks",
            *cite("wilcoxon1945"),
            " with Holm correction, and diagrams show Nemenyi's critical difference",
            *cite("nemenyi1963"),
            ".",
        ]
    return Passage("Models over tasks", tuple(pieces))


def completeness_passage(reading: StudyReading) -> Passage:
    """Return how many trials stand behind the numbers, and what became of the others."""
    done = sum(record.outcome is not None for record in reading.records)
    left = len(reading.records) - done - len(reading.failures)
    return Passage(
        "Completeness",
        tuple(
            sentences(
                f"{done:,} of {count(len(reading.records), 'trial')} finished.",
                f"{count(len(reading.failures), 'trial')} failed; a failed run enters no mean and makes n "
                "smaller."
                if reading.failures
                else "",
                f"{count(left, 'trial')} had not finished." if left else "",
            )
        ),
    )


def _primary_estimates(reading: StudyReading) -> Iterator[Estimate]:
    for _, row, cell in reading.cells():
        slot = Slot(reading.tasks[row.row.task].primary.name)
        if slot in cell.estimates:
            yield cell.estimates[slot]


def _test(comparison: Comparison) -> str:
    over = "" if comparison.unit in comparison.test else f" over {comparison.unit}"
    return f"a {comparison.sidedness} test ({comparison.test}{over})"


def _corrected(groups: Iterable[TieGroup]) -> Iterator[Piece]:
    for correction, alpha in dict.fromkeys((group.correction, group.alpha) for group in groups):
        yield f", with {correction} correction"
        yield from cite("holm1979" if correction == "Holm" else None)
        yield f" over the models of the row, at a family error rate of {alpha:g}"


def _pairs(reading: StudyReading) -> Iterator[Piece]:
    """Yield how all pairs were compared, where the reading has them."""
    found = [row.pairs for panel in reading.panels for row in panel.rows if row.pairs is not None]
    if not found:
        return
    correction = listed(sorted({pairs.pairwise.correction for pairs in found}))
    yield f" All pairs of models of a row were compared by the same tests, with {correction} correction over"
    yield " the pairs."
    if any(pairs.delong for pairs in found):
        yield " For binary AUC with one case per patient DeLong's test stands beside, not corrected"
        yield from cite("delong1988")
        yield "."
