"""What stands in a cell: value and spread, interval and what it is over, runs that are missing."""

from __future__ import annotations

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.phrases import NONE, count, number, percent
from medtransfer.reports.tables.table import LegendEntry, TableCell, Tone
from medtransfer.stats.ties import TieGroup
from medtransfer.store.records import State

SOURCE_MARK = "†"
"""The model has seen some of the images under another name."""
UNKNOWN_MARK = "‡"
"""Nobody knows whether the model has seen the images."""
TIED_MARK = "▪"
"""Not separable from the best; stands beside the shading, which some readers cannot see."""
UNDETERMINED_MARK = "?"
"""Not testable."""
NOT_RUN = "not run"
"""A cell without trials."""

OVERLAP_MARKS = {"source": SOURCE_MARK, "unknown": UNKNOWN_MARK}
_TONES: dict[str, Tone] = {
    "best": "best",
    "not-separable": "tied",
    "undetermined": "undetermined",
    "separated": "plain",
}
_TONE_MARKS = {"tied": TIED_MARK, "undetermined": UNDETERMINED_MARK}

LEGEND = (
    LegendEntry("bold", "best mean of a task among the models that can be tested", "best"),
    LegendEntry(
        TIED_MARK,
        "shaded: not separable from the best; no proof of being as good, and more such cells the fewer the "
        "runs",
        "tied",
    ),
    LegendEntry(
        UNDETERMINED_MARK,
        "undetermined: cannot be compared (fewer than two runs, or no value), neither in nor out",
        "undetermined",
    ),
    LegendEntry(NONE, "not applicable: the model was pretrained on the images of this task", "absent"),
    LegendEntry(SOURCE_MARK, "pretraining data and task share images under different names"),
    LegendEntry(UNKNOWN_MARK, "nobody knows whether pretraining has seen images of the task"),
    LegendEntry(NOT_RUN, "the study has no such trial, or it has not finished; not a result", "absent"),
)
"""All signs a results table can hold."""


def result_cell(cell: Cell | None, slot: Slot, label: str, ties: TieGroup | None) -> TableCell:
    """Return a cell of a results table.

    Args:
        cell: The trials; None when there are none.
        slot: Which number.
        label: Label of the model, as the tie group knows it.
        ties: Comparison of the row; None where nothing is compared.
    """
    if cell is None:
        return TableCell(NOT_RUN, tone="absent")
    if not cell.applicable:
        return TableCell(NONE, ("pretrained on these images",), tone="absent")
    estimate = cell.estimates.get(slot)
    if estimate is None or estimate.mean is None:
        return _cell_without_value(cell, estimate)
    tone = _TONES[ties.standing(label)] if ties and label in ties.family else "plain"
    marks = OVERLAP_MARKS.get(cell.overlap, "") + _TONE_MARKS.get(tone, "")
    lines = (*interval_lines(estimate), *missing_lines(cell, estimate))
    return TableCell(value_text(estimate), lines, marks, tone, value=estimate.mean)


def value_text(estimate: Estimate) -> str:
    """Return mean and standard deviation, or the one value there is.

    Example:
        >>> value_text(Estimate(((0, .81), (1, .83)), 0, .82, std=.0141))
        '0.820 ± 0.014'
    """
    if estimate.std is None:
        return number(estimate.mean)
    return f"{number(estimate.mean)} ± {number(estimate.std)}"


def interval_lines(estimate: Estimate) -> list[str]:
    """Return the interval and what it is over, or that there is none."""
    if estimate.low is None or estimate.high is None:
        return [f"{count(estimate.n, 'run')}, no interval"]
    units = (estimate.n, "run") if estimate.over == "training runs" else (estimate.patients or 0, "patient")
    return [f"[{number(estimate.low)}, {number(estimate.high)}]", f"over {count(*units)}"]


def crossed_lines(estimate: Estimate) -> list[str]:
    """Return the interval over runs and patients together, or why it is null; nothing when not computed."""
    found = estimate.crossed
    if found is None:
        return []
    if found.low is None or found.high is None:
        return [f"no interval over runs and patients: {found.reason}"]
    units = f"{count(estimate.n, 'run')} and {count(found.patients, 'patient')}"
    share = f"{percent(round(found.runs_share, 2))} of the variance from runs"
    return [f"[{number(found.low)}, {number(found.high)}]", f"over {units}, {share}"]


def missing_lines(cell: Cell, estimate: Estimate | None) -> list[str]:
    """Return how many trials the value lacks, and why; nothing when it lacks none."""
    planned, n = len(cell.records), estimate.n if estimate else 0
    if n == planned:
        return []
    reasons = [
        f"{cell.failed} failed" if cell.failed else "",
        f"{estimate.undefined} undefined" if estimate and estimate.undefined else "",
        f"{cell.waiting} not finished" if cell.waiting else "",
    ]
    return [f"{n} of {count(planned, 'run')}: {', '.join(reason for reason in reasons if reason)}"]


def _cell_without_value(cell: Cell, estimate: Estimate | None) -> TableCell:
    marks = OVERLAP_MARKS.get(cell.overlap, "")
    lines = tuple(missing_lines(cell, estimate))
    if estimate is not None and estimate.undefined:
        return TableCell("undefined", lines, marks, "undetermined")
    if cell.number_in(State.FAILED) == len(cell.records):
        return TableCell("failed", lines, marks, "failed")
    return TableCell(NOT_RUN, lines, marks, "absent")
