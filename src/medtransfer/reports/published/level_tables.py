"""Tables of published levels as they were printed or read off, with signs for what must be known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from medtransfer.reports.phrases import listed
from medtransfer.reports.published.names import our_task
from medtransfer.reports.published.quantities import level_text
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell, Tone

Heading = Callable[[PublishedResult], str]
"""What a result is called in a row or column heading."""

DIGITISED = "†"
"""Read off a figure."""
CONFLICT = "‡"
"""Part of a known conflict."""
DOUBTFUL = "?"
"""Doubtful for another reason."""
TIED = "▪"
"""Shaded in print."""

_TONES: Mapping[str, Tone] = {"": "plain", "bold": "best", "shaded": "tied"}
_LEGEND = (
    LegendEntry("bold", "best of its task, as printed", "best"),
    LegendEntry(TIED, "shaded in print: said to be not significantly different from the best", "tied"),
    LegendEntry(DIGITISED, "read off a figure, not printed as a number"),
    LegendEntry(CONFLICT, "sources do not agree on this number; see the known conflicts"),
    LegendEntry(DOUBTFUL, "doubtful reading, or next to numbers that conflict"),
    LegendEntry("–", "not in the source", "absent"),
)


def initialization(result: PublishedResult) -> str:
    """Return what training started from."""
    return result.initialization


def architecture(result: PublishedResult) -> str:
    """Return the network."""
    return result.architecture


def headings(results: Iterable[PublishedResult], heading: Heading) -> list[str]:
    """Return the headings of results, each once, in their order."""
    return list(dict.fromkeys(heading(result) for result in results))


def levels_table(
    name: str,
    caption: str,
    results: Sequence[PublishedResult],
    *,
    row: Heading = initialization,
    corner: str = "Initialization",
    notes: tuple[str, ...] = (),
) -> Table:
    """Return published levels, a task per column.

    Args:
        name: Anchor of the table.
        caption: What it shows.
        results: Numbers of one table or figure of one source.
        row: What makes a row.
        corner: Heading of the first column.
        notes: Sentences under it.
    """
    metrics = {result.task: result.metric for result in results}
    columns = (Column(corner), *(Column(task, metric, numeric=True) for task, metric in metrics.items()))
    rows = [
        (
            TableCell(label),
            *(_cell([r for r in results if (row(r), r.task) == (label, task)]) for task in metrics),
        )
        for label in headings(results, row)
    ]
    return Table(name, caption, columns, tuple(rows), used_legend(rows, _LEGEND), (*_codes(metrics), *notes))


def level_marks(result: PublishedResult) -> str:
    """Return the signs of a level."""
    doubtful = "doubtful" in result.flags and not result.conflicts
    signs = (
        (result.mark == "shaded", TIED),
        (not result.exact, DIGITISED),
        (bool(result.conflicts), CONFLICT),
        (doubtful, DOUBTFUL),
    )
    return "".join(sign for shown, sign in signs if shown)


def used_legend(
    rows: Iterable[Sequence[TableCell]], legend: Sequence[LegendEntry]
) -> tuple[LegendEntry, ...]:
    """Return the entries of a legend whose sign or tone occurs in a table."""
    cells = [cell for line in rows for cell in line]
    shown = {sign for cell in cells for sign in (*cell.marks.split(), *cell.marks, cell.text)}
    tones = {cell.tone for cell in cells}
    return tuple(
        entry for entry in legend if entry.sign in shown or (entry.sign == "bold" and "best" in tones)
    )


def _codes(tasks: Iterable[str]) -> Iterator[str]:
    """Yield what the codes of a source mean among our tasks, as one sentence; nothing where there is none."""
    known = [(task, our_task(task)) for task in tasks]
    means = [f"{task} is {ours}" for task, ours in known if ours is not None]
    if means:
        yield f"On our tasks: {listed(means, len(means))}."


def _cell(found: Sequence[PublishedResult]) -> TableCell:
    """Return a cell; several numbers for one place stand one under another and are never averaged."""
    if not found:
        return TableCell("–", tone="absent")
    first = found[0]
    more = tuple(f"{level_text(other)} {level_marks(other)}".rstrip() for other in found[1:])
    return TableCell(level_text(first), more, level_marks(first), _TONES[first.mark], first.mean)
