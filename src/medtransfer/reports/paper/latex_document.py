"""The document that includes everything written for a paper, so that one command shows it compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from medtransfer.reports.paper.contents import PaperFigure, PaperSection, PaperTable
from medtransfer.reports.renderers.latex import latex_text

PACKAGES: Final = r"""\usepackage[margin=25mm]{geometry}
\usepackage{array,booktabs,longtable,graphicx}
\usepackage[table]{xcolor}
\usepackage[hidelinks]{hyperref}"""
"""What tables, figures and methods need; all part of TeX Live's recommended collection."""

_FLOATS_AT_ONCE: Final = 6


def latex_document(title: str, sections: Sequence[PaperSection]) -> str:
    """Return ``main.tex``: methods, tables, figures and references, from files beside it.

    Args:
        title: Name of the study.
        sections: Tables and figures.
    """
    main = [section for section in sections if not section.supplementary]
    more = [section for section in sections if section.supplementary]
    lines = [
        "% Compile with: pdflatex main && bibtex main && pdflatex main && pdflatex main",
        r"\documentclass[a4paper]{article}",
        PACKAGES,
        r"\setlength{\emergencystretch}{3em}",
        rf"\title{{{latex_text(title)}}}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        r"\section{Methods}",
        r"\input{methods}",
        *(line for section in main for line in _section(section)),
        r"\bibliographystyle{unsrt}",
        r"\bibliography{references}",
        *([r"\clearpage", r"\appendix"] if more else []),
        *(line for section in more for line in _section(section)),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def _section(section: PaperSection) -> Iterator[str]:
    yield rf"\section{{{latex_text(section.title)}}}"
    yield from _items(section.items)
    yield r"\clearpage"


def _items(items: Iterable[PaperTable | PaperFigure]) -> Iterator[str]:
    """Yield tables and figures; LaTeX holds only so many back at once."""
    for number, item in enumerate(items, 1):
        if isinstance(item, PaperTable):
            yield rf"\input{{tables/{item.table.id}}}"
        else:
            yield from _figure(item)
        if number % _FLOATS_AT_ONCE == 0:
            yield r"\clearpage"


def _figure(figure: PaperFigure) -> Iterator[str]:
    name = figure.chart.id
    yield r"\begin{figure}[!htbp]"
    yield rf"\centering\includegraphics[width=\linewidth,height=0.8\textheight,keepaspectratio]{{figures/{name}.pdf}}"
    yield rf"\caption{{{latex_text(figure.caption)}}}\label{{fig:{name}}}"
    yield r"\end{figure}"
