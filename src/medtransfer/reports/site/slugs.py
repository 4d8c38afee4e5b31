"""File names of pages: safe on every file system, unique, and the same in every report of the same subject."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from medtransfer.core.fingerprints import hash_json

_CLEAN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_FOREIGN = re.compile(r"[^a-z0-9]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
_MOST_LETTERS = 80
_READABLE_LETTERS = 60
_DIGEST_LETTERS = 10


def slug(name: str) -> str:
    """Return a file name for a name: the name itself where it is one, else its letters and a digest.

    Different names give different file names, also where case does not count. What is kept as it
    is never holds two hyphens in a row, so no name can pass for another one with its digest.

    Args:
        name: Any text.

    Example:
        >>> slug("resnet50.mocov2_in1k")
        'resnet50.mocov2_in1k'
        >>> slug("Über <b>")
        'uber-b--9e00cdfdae'
        >>> slug("../../etc/passwd"), slug("con")
        ('etc-passwd--289b8978ba', 'con--375f3bf5f8')
    """
    if _is_clean(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    readable = _FOREIGN.sub("-", plain)[:_READABLE_LETTERS].strip("-") or "unnamed"
    return f"{readable}--{_digest(name)}"


def slugs(names: Mapping[str, str]) -> dict[str, str]:
    """Return a file name for every subject, by its key.

    Args:
        names: Name of every subject, by key; subjects of one name are told apart by their key.

    Example:
        >>> slugs({"a": "chest", "b": "skin"})
        {'a': 'chest', 'b': 'skin'}
        >>> len(set(slugs({"a": "chest", "b": "chest"}).values()))
        2
    """
    made = {key: slug(name) for key, name in names.items()}
    repeated = Counter(made.values())
    return {key: f"{found}--{_digest(key)}" if repeated[found] > 1 else found for key, found in made.items()}


def _is_clean(name: str) -> bool:
    return (
        len(name) <= _MOST_LETTERS
        and _CLEAN.fullmatch(name) is not None
        and _RESERVED.fullmatch(name) is None
        and "--" not in name
        and ".." not in name
    )


def _digest(text: str) -> str:
    return hash_json(ascii(text))[:_DIGEST_LETTERS]
