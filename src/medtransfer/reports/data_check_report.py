"""The findings about one data set as a document: counts beside the official ones, problems, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medtransfer.core.problems import Problem
from medtransfer.data.data_check import DataCheck, SplitFacts, example_rows, most_shown
from medtransfer.data.problem_codes import PROBLEM_CODES
from medtransfer.data.thumbnails import case_thumbnail
from medtransfer.reports.document import Document, Facts, Gallery, Notice, Paragraph, Part, Picture, Section
from medtransfer.reports.phrases import listed
from medtransfer.reports.tables.table import Column, Table, TableCell, plain_row

_MOST_PAIRS = 24
_MOST_SIZES = 12
_MOST_CLASSES = 40
_MOST_EXAMPLE_CLASSES = 15


@dataclass(frozen=True)
class CheckedTask:
    """What the document says of the task itself."""

    name: str
    """Registry name, or the user's name of own data."""
    title: str
    """One line for people."""
    folder: str
    """Name of the data set's folder, without the path above it."""
    classes: tuple[str, ...]
    """Class names in label order."""
    caution: str = ""
    """What every reader of results must know."""


def data_check_document(task: CheckedTask, check: DataCheck) -> Document:
    """Return the page of a data check.

    Args:
        task: What was checked.
        check: The findings.
    """
    found = len(check.problems)
    verdict = "as declared" if not found else f"{found} problem{'s' * (found > 1)}"
    return Document(
        title=task.name,
        subtitle=f"{task.title}: {verdict}",
        sections=(
            Section("overview", "Overview", tuple(_overview(task, check))),
            Section("counts", "Cases", tuple(_counts(task, check))),
            Section("problems", "Problems", tuple(_problems(check))),
            Section("remarks", "To look at", tuple(_remarks(check))),
            Section("examples", "Examples", tuple(_examples(task, check))),
        ),
        product="medtransfer data check",
    )


def _overview(task: CheckedTask, check: DataCheck) -> Iterator[Part]:
    cases = check.cases
    if check.problems:
        text = f"A study stops at {listed(sorted({p.what for p in check.problems}))} unless it accepts them by name."
        yield Notice("warning", text)
    else:
        yield Notice("note", "Everything is as declared.")
    if task.caution:
        yield Notice("caution", task.caution)
    patients = cases.frame["patient_id"].nunique()
    facts = [
        ("Folder", task.folder),
        ("Cases", f"{len(cases):,}"),
        ("Patients" if cases.patients_known else "Groups (no patients given)", f"{patients:,}"),
        ("Split", cases.split_source),
        ("Images", ", ".join(f"{count:,} {mode}" for mode, count in check.modes) or "none readable"),
    ]
    if cases.has_volumes:
        facts.insert(3, ("Volumes", f"{cases.frame['volume_id'].nunique():,}"))
    yield Facts(tuple(facts))
    rows = tuple(plain_row(size, f"{count:,}") for size, count in check.sizes[:_MOST_SIZES])
    if rows:
        more = len(check.sizes) - _MOST_SIZES
        notes = (f"And {more} further sizes.",) if more > 0 else ()
        columns = (Column("Width x height"), Column("Images", numeric=True))
        yield Table("sizes", "Image sizes in pixels", columns, rows, notes=notes)


def _counts(task: CheckedTask, check: DataCheck) -> Iterator[Part]:
    yield split_table(check)
    yield class_table(task.classes, check)


def split_table(check: DataCheck) -> Table:
    """Return cases, patients and volumes of every split beside the official number of cases."""
    volumes = check.cases.has_volumes
    heads = ["Split", "Cases", "Official", "Patients", *(["Volumes"] if volumes else [])]
    rows = []
    for split in check.splits:
        cells = [
            split.name.replace("+", " + "),
            f"{split.cases:,}",
            _official(split.official),
            f"{split.patients:,}",
        ]
        rows.append(_row([*cells, *([f"{split.volumes:,}"] if volumes else [])], wrong=_differs(split)))
    columns = tuple(Column(head, numeric=number > 0) for number, head in enumerate(heads))
    return Table("splits", "Cases per split", columns, tuple(rows))


def class_table(classes: Sequence[str], check: DataCheck) -> Table:
    """Return the cases that show each class, per split, with the official numbers where there are any.

    Of very many classes, those with the fewest cases are shown.
    """
    order = sorted(
        classes,
        key=lambda name: sum(split.classes.get(name, 0) for split in check.splits if "+" not in split.name),
    )
    shown = [name for name in classes if name in set(order[:_MOST_CLASSES])]
    left_out = len(classes) - len(shown)
    return Table(
        "classes",
        "Cases per class",
        (Column("Class"), *(Column(split.name.replace("+", " + "), numeric=True) for split in check.splits)),
        tuple((TableCell(name), *(_class_cell(split, name) for split in check.splits)) for name in shown),
        notes=(f"{left_out} classes with more cases are not shown.",) if left_out else (),
    )


def _official(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _differs(split: SplitFacts) -> bool:
    return split.official is not None and split.official != split.cases


def _row(texts: Sequence[str], *, wrong: bool) -> tuple[TableCell, ...]:
    cells = list(plain_row(*texts))
    if wrong:
        cells[1] = TableCell(texts[1], tone="failed")
    return tuple(cells)


def _class_cell(split: SplitFacts, name: str) -> TableCell:
    count, official = split.classes.get(name, 0), split.official_classes.get(name)
    if official is None:
        return TableCell(f"{count:,}")
    details = (f"official {official:,}",)
    return TableCell(f"{count:,}", details, tone="plain" if official == count else "failed")


def _problems(check: DataCheck) -> Iterator[Part]:
    if not check.problems:
        yield Paragraph("None.")
        return
    yield _problem_table("problem-list", "What is not as declared", check.problems)
    shown: dict[str, list[tuple[Picture, ...]]] = {}
    for complaint in most_shown(check.complaints):
        pictures = tuple(_picture(check, row, complaint.text) for row in complaint.rows)
        shown.setdefault(complaint.what, []).append(pictures)
    for what, groups in shown.items():
        total = sum(complaint.what == what for complaint in check.complaints)
        yield Gallery(f"{PROBLEM_CODES[what]} ({len(groups)} of {total} shown)", tuple(groups))


def _remarks(check: DataCheck) -> Iterator[Part]:
    if not check.remarks:
        yield Paragraph("Nothing.")
        return
    yield _problem_table("remark-list", "No study stops at these", check.remarks)
    if check.pairs:
        groups = []
        for pair in check.pairs[:_MOST_PAIRS]:
            text = f"similarity {pair.similarity:.3f}" + (", mirrored" if pair.mirrored else "")
            groups.append((_picture(check, pair.first, text), _picture(check, pair.second, text)))
        title = f"Nearly the same image in two splits ({len(groups)} of {len(check.pairs)} pairs, the closest first)"
        yield Gallery(title, tuple(groups))


def _examples(task: CheckedTask, check: DataCheck) -> Iterator[Part]:
    text = "Training cases as every network will see them: look at window, orientation, and where masks lie."
    yield Paragraph(text)
    for name, rows in example_rows(check, task.classes[:_MOST_EXAMPLE_CLASSES]).items():
        groups = tuple((_picture(check, row, name),) for row in rows)
        if groups:
            yield Gallery(name, groups)


def _problem_table(name: str, caption: str, problems: Sequence[Problem]) -> Table:
    heads = ("What", "Where", "Expected", "Found", "Next step")
    rows = tuple(plain_row(p.what, p.where, p.expected, p.found, p.next_step) for p in problems)
    return Table(name, caption, tuple(Column(head) for head in heads), rows)


def _picture(check: DataCheck, row: int, text: str) -> Picture:
    entry = check.cases.frame.iloc[row]
    lines = (str(entry["case_id"]), str(entry["split"]), text)
    return Picture(lines, case_thumbnail(check.cases, row))
