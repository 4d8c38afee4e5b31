"""Writing everything a paper needs of a study into one folder: tables, figures, methods, references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medtransfer.reports.paper.bibliography import Work
from medtransfer.reports.paper.contents import PaperFigure, PaperTable, paper_sections
from medtransfer.reports.paper.latex_document import latex_document
from medtransfer.reports.paper.latex_table import latex_table
from medtransfer.reports.paper.methods_section import methods_section
from medtransfer.reports.paper.owned_files import write_owned
from medtransfer.reports.paper.plain_tables import csv_table, markdown_table
from medtransfer.reports.paper.prose import prose_as_latex, prose_as_markdown, works_of
from medtransfer.reports.study_reading import StudyReading

_WRITTEN = "% Written by medtransfer from the records of a study. Change the study, or a copy of this file."


@dataclass(frozen=True)
class PaperFiles:
    """Where the files for a paper lie."""

    folder: Path
    """The folder that holds them all."""
    main: Path
    """A document that includes everything and compiles."""
    methods: Path
    """The methods in words, as LaTeX."""
    methods_markdown: Path
    """The same as Markdown, with citations Pandoc resolves."""
    references: Path
    """BibTeX entries of everything the methods cite."""
    tables: tuple[Path, ...]
    """Tables: three files each, LaTeX, Markdown, CSV."""
    figures: tuple[Path, ...]
    """Figures: two files each, PDF and SVG."""


def write_paper(reading: StudyReading, folder: Path, *, command: str = "") -> PaperFiles:
    """Write the tables, figures, methods and references of a study.

    The same reading and command give the same bytes. Files that somebody changed are not replaced.

    Args:
        reading: The study.
        folder: Where to write; made when it does not exist.
        command: The command that asked for it; places on this machine are cut out.

    Raises:
        UsageError: If the folder holds files of these names that are not from here, or were changed.
    """
    sections = paper_sections(reading)
    passages = methods_section(reading, command)
    items = [item for section in sections for item in section.items]
    tables = dict(_tables(item for item in items if isinstance(item, PaperTable)))
    figures = dict(_figures(item for item in items if isinstance(item, PaperFigure)))
    texts = {
        "main.tex": latex_document(reading.study, sections),
        "methods.tex": f"{_WRITTEN}\n{prose_as_latex(passages)}",
        "methods.md": prose_as_markdown(passages),
        "references.bib": _bibliography(works_of(passages)),
        **tables,
    }
    contents = {name: text.encode("utf-8") for name, text in texts.items()} | figures
    write_owned(folder, contents)
    return PaperFiles(
        folder=folder,
        main=folder / "main.tex",
        methods=folder / "methods.tex",
        methods_markdown=folder / "methods.md",
        references=folder / "references.bib",
        tables=tuple(folder / name for name in tables),
        figures=tuple(folder / name for name in figures),
    )


def _tables(items: Iterable[PaperTable]) -> Iterator[tuple[str, str]]:
    for item in items:
        name = f"tables/{item.table.id}"
        yield f"{name}.tex", f"{_WRITTEN}\n{latex_table(item.table, item.caption)}"
        yield f"{name}.md", markdown_table(item.table, item.caption)
        yield f"{name}.csv", csv_table(item.table)


def _figures(items: Iterable[PaperFigure]) -> Iterator[tuple[str, bytes]]:
    from medtransfer.reports.figures.picture_drawing import draw_vector

    for item in items:
        name = f"figures/{item.chart.id}"
        yield f"{name}.pdf", draw_vector(item.chart, "pdf")
        yield f"{name}.svg", draw_vector(item.chart, "svg")


def _bibliography(works: Iterable[Work]) -> str:
    return "\n".join(work.as_bibtex() for work in works)
