"""The works a study may have used, and which of them a citation, a network or a package stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

from medtransfer.core.errors import UsageError
from medtransfer.core.fingerprints import hash_json
from medtransfer.reports.renderers.latex import latex_text

NOT_PUBLISHED: Final = frozenset({"", "own data"})
"""What a record says where there is nothing to cite."""

_ENTRY: Final = re.compile(r"^@(?P<kind>\w+)\{(?P<key>[\w-]+),\n(?P<fields>.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(r"^  (?P<name>\w+) = \{(?P<value>.*)\},$", re.MULTILINE)
_OURS: Final = ("cited", "architectures", "package")
_SEPARATOR: Final = " | "
_DIGEST_LETTERS: Final = 10


@dataclass(frozen=True)
class Work:
    """One entry of a bibliography."""

    key: str
    """What a text cites it by."""
    kind: str
    """Kind of entry, such as ``article``."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Fields by name, values as BibTeX."""
    cited: tuple[str, ...] = ()
    """Citations in records of tasks and source models that mean it."""
    architectures: tuple[str, ...] = ()
    """Starts of the names of networks it introduced."""
    package: str = ""
    """Installed package it describes."""

    def as_bibtex(self) -> str:
        """Return the entry as BibTeX, one field per line."""
        lines = [f"  {name} = {{{value}}},\n" for name, value in self.fields.items()]
        return f"@{self.kind}{{{self.key},\n{''.join(lines)}}}\n"


@cache
def known_works() -> Mapping[str, Work]:
    """Return all works of the bibliography that comes with the package, by key.

    Raises:
        UsageError: If two entries have the same key.
    """
    text = (files("medtransfer.reports.paper") / "bibliography.bib").read_text(encoding="utf-8")
    works: dict[str, Work] = {}
    for found in _ENTRY.finditer(text):
        if found["key"] in works:
            raise UsageError(f"bibliography: expected each key once, got {found['key']!r} twice. Rename one.")
        works[found["key"]] = _work(found["key"], found["kind"], found["fields"])
    return works


def works_cited(citation: str) -> tuple[Work, ...]:
    """Return the works that the citation of a task or source model names, none lost.

    A citation may name several, separated by semicolons. One that the bibliography does not have becomes
    an entry that holds it as a note.

    Example:
        >>> [work.key for work in works_cited("Liu et al., A ConvNet for the 2020s, 2022; Doe, Mine, 2030")]
        ['liu2022convnext', 'cited-09203aeca5']
        >>> works_cited("own data")
        ()
    """
    citation = " ".join(citation.split())
    if citation in NOT_PUBLISHED:
        return ()
    whole = _by_citation().get(citation)
    if whole is not None:
        return (whole,)
    parts = dict.fromkeys(part.strip() for part in citation.split(";"))
    return tuple(_by_citation().get(part) or _noted(part) for part in parts if part not in NOT_PUBLISHED)


def work_of_architecture(name: str) -> Work | None:
    """Return the work that introduced a network; None when the bibliography does not know it.

    Example:
        >>> work_of_architecture("timm/resnet18").key, work_of_architecture("mine")
        ('he2016resnet', None)
    """
    name = name.rpartition("/")[2]
    starts = {start: work for work in known_works().values() for start in work.architectures}
    fitting = [
        start for start in starts if re.match(start + ("" if start.endswith("_") else "(?![a-z])"), name)
    ]
    return starts[max(fitting, key=len)] if fitting else None


def work_of_package(name: str) -> Work | None:
    """Return the work that describes a package; None when the bibliography does not know it."""
    return next((work for work in known_works().values() if work.package == name), None)


@cache
def _by_citation() -> Mapping[str, Work]:
    return {citation: work for work in known_works().values() for citation in work.cited}


def _work(key: str, kind: str, text: str) -> Work:
    fields = {found["name"]: found["value"] for found in _FIELD.finditer(text)}
    ours = {name: tuple(filter(None, fields.pop(name, "").split(_SEPARATOR))) for name in _OURS}
    package = ours["package"][0] if ours["package"] else ""
    return Work(key, kind, fields, ours["cited"], ours["architectures"], package)


def _noted(citation: str) -> Work:
    return Work(f"cited-{hash_json(citation)[:_DIGEST_LETTERS]}", "misc", {"note": latex_text(citation)})
