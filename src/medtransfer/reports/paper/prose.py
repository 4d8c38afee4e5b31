"""Paragraphs with citations, before they become LaTeX or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from medtransfer.reports.paper.bibliography import Work, known_works
from medtransfer.reports.renderers.latex import latex_text
from medtransfer.reports.renderers.markdown import plain


@dataclass(frozen=True)
class Citation:
    """Works that are cited at one place."""

    works: tuple[Work, ...]
    """At least one."""


Piece = str | Citation
"""Text, or works cited after it."""


@dataclass(frozen=True)
class Passage:
    """One paragraph under a short heading."""

    title: str
    """Heading."""
    pieces: tuple[Piece, ...]
    """Text and citations in reading order; a citation belongs to the text before it."""


def cite(*works: Work | str | None) -> tuple[Citation, ...]:
    """Return a citation of works or keys, each once; nothing where there is nothing to cite.

    Raises:
        KeyError: If the bibliography has no such key, which is a fault of the program.
    """
    found = {work.key: work for given in works if given is not None for work in [_work(given)]}
    return (Citation(tuple(found.values())),) if found else ()


def works_of(passages: Iterable[Passage]) -> tuple[Work, ...]:
    """Return the works that are cited, in the order of their first citation."""
    cited = (
        work
        for passage in passages
        for piece in passage.pieces
        if isinstance(piece, Citation)
        for work in piece.works
    )
    return tuple({work.key: work for work in cited}.values())


def prose_as_latex(passages: Iterable[Passage]) -> str:
    r"""Return paragraphs as LaTeX, each with its heading as ``\paragraph``."""
    return "\n".join(
        f"\\paragraph{{{latex_text(passage.title)}.}}\n{_joined(passage, _latex_piece)}\n"
        for passage in passages
    )


def prose_as_markdown(passages: Iterable[Passage]) -> str:
    """Return paragraphs as Markdown; citations are ``[@key]``, which Pandoc resolves."""
    return "\n".join(
        f"**{plain(passage.title)}.** {_joined(passage, _markdown_piece)}\n" for passage in passages
    )


def _joined(passage: Passage, shown: Callable[[Piece], str]) -> str:
    return "".join(shown(piece) for piece in passage.pieces).strip()


def _latex_piece(piece: Piece) -> str:
    if isinstance(piece, Citation):
        return f"~\\cite{{{','.join(work.key for work in piece.works)}}}"
    return _with_spaces(piece, latex_text(piece))


def _markdown_piece(piece: Piece) -> str:
    if isinstance(piece, Citation):
        return f" [{'; '.join(f'@{work.key}' for work in piece.works)}]"
    return _with_spaces(piece, plain(piece))


def _with_spaces(text: str, shown: str) -> str:
    """Put back the spaces between pieces that rendering takes away."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and shown else ""
    return f"{before}{shown}{after}"


def _work(given: Work | str) -> Work:
    return known_works()[given] if isinstance(given, str) else given


def sentences(*texts: str) -> Iterator[str]:
    """Yield texts with a space before each, so that they can follow each other in a passage."""
    for text in texts:
        if text:
            yield f" {text}"
