"""The report as Markdown that reads well on GitHub, with figures as linked pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from medtransfer.reports.document import (
    Document,
    Facts,
    Gallery,
    Listing,
    Notice,
    Paragraph,
    Part,
    Section,
    Terms,
)
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.printable import one_line, printable
from medtransfer.reports.tables.table import Table, TableCell

_SPECIAL = re.compile(r"[\\`*_{}\[\]#~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
_NOTICES = {"note": "NOTE", "caution": "CAUTION", "warning": "WARNING"}


def render_markdown(document: Document, figures: str = "figures") -> str:
    """Return the report as GitHub-flavoured Markdown.

    Args:
        document: The report.
        figures: Folder of the pictures, relative to the file; each is ``<chart id>.png``.
    """
    lines = [
        f"# {plain(document.title)}",
        "",
        plain(document.subtitle) + ".",
        "",
        *_contents(document.sections),
        "",
    ]
    for section in document.sections:
        lines += _section(section, 2, figures)
    return "\n".join(lines).rstrip() + "\n"


def plain(text: str) -> str:
    r"""Return text as Markdown shows it letter by letter.

    Example:
        >>> print(plain("a_b | <c>"))
        a\_b &#124; &lt;c&gt;
    """
    text = "".join(_ENTITIES.get(sign, sign) for sign in one_line(text))
    text = _SPECIAL.sub(lambda found: "\\" + found[0], text.replace("&#", "\0")).replace("\0", "&#")
    return re.sub(r"(?i)\b(https?|ftp):(?=//)", r"\1&#58;", text)


def _contents(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        yield f"- [{plain(section.title)}](#{section.id})"


def _section(section: Section, level: int, figures: str) -> Iterator[str]:
    if section.folded:
        yield from (f'<details id="{section.id}">', f"<summary>{_html(section.title)}</summary>", "")
    else:
        yield from (f'<a id="{section.id}"></a>', "", f"{'#' * min(level, 6)} {plain(section.title)}", "")
    for part in section.parts:
        yield from _part(part, figures)
        yield ""
    for subsection in section.sections:
        yield from _section(subsection, level + 1, figures)
    if section.folded:
        yield from ("</details>", "")


def _part(part: Part, figures: str) -> Iterator[str]:
    match part:
        case Paragraph():
            yield plain(part.text)
        case Notice():
            yield from (f"> [!{_NOTICES[part.level]}]", f"> {plain(part.text)}")
        case Facts():
            yield from (f"- {plain(name)}: **{plain(value)}**" for name, value in part.entries)
        case Terms():
            yield from (f"- **{plain(term)}.** {plain(explanation)}" for term, explanation in part.entries)
        case Listing():
            yield from _listing(part)
        case Gallery():
            yield from (f"**{plain(part.title)}**", "")
            yield from (f"- {'; '.join(plain(', '.join(p.lines)) for p in group)}" for group in part.groups)
        case Table():
            yield from _table(part)
        case Chart():
            yield f"![{plain(part.title)}]({figures}/{part.id}.png)"
            yield from ("", f"{plain(part.description)}")


def _listing(listing: Listing) -> Iterator[str]:
    yield from (f"{plain(listing.title)}:", "")
    for line in listing.text.rstrip("\n").split("\n"):
        yield f"    {printable(line)}".rstrip()


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{plain(table.caption)}**", "")
    heads = [
        plain(column.title) + (f"<br>{plain(column.detail)}" if column.detail else "")
        for column in table.columns
    ]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "|".join(" ---: " if column.numeric else " --- " for column in table.columns) + "|"
    for row in table.rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
    if table.legend:
        entries = [f"**{plain(entry.sign)}** {plain(entry.meaning)}" for entry in table.legend]
        yield from ("", f"Signs: {'; '.join(entries)}.")
    if table.notes:
        yield ""
    yield from (f"- {plain(note)}" for note in table.notes)


def _cell(cell: TableCell) -> str:
    text = plain(cell.text)
    value = f"**{text}**" if cell.tone == "best" else text
    marks = f" {plain(cell.marks)}" if cell.marks else ""
    return "<br>".join([value + marks, *(f"<sub>{plain(line)}</sub>" for line in cell.details)])


def _html(text: str) -> str:
    return "".join(_ENTITIES.get(sign, sign) for sign in one_line(text))
