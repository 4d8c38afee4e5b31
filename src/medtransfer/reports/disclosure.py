"""What a report must not tell: where files lie on somebody's machine, and passwords in addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_CREDENTIALS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]*@")
_START = r"(?:/(?!/)|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
_QUOTED = re.compile(rf"(?P<quote>['\"])(?P<path>{_START}[^'\"\n]*)(?P=quote)")
_FILE_ADDRESS = re.compile(r"(?P<scheme>\b(?:file|sqlite):/{0,3})(?P<path>/[^\s'\",;?#]+)")
_LETTER = r"[^\s'\",;:()<>?#]"
_NEXT_WORD = r" [^\s'\",;:()<>?#/\\]+[/\\]"
_BARE = re.compile(rf"(?<![\w/\\:.<…&])(?P<path>{_START}{_LETTER}+(?:{_NEXT_WORD}{_LETTER}*)*)")


@lru_cache(maxsize=10_000)  # most texts of a report, such as names and versions, come again and again
def hide_places(text: str) -> str:
    """Return text with every absolute path cut to its last part, and without passwords.

    Args:
        text: A message, command, name or setting that may hold paths of the machine that made it.

    Example:
        >>> hide_places("cannot read '/home/ann lee/scans/a 1.png': truncated")
        "cannot read '…/a 1.png': truncated"
        >>> hide_places("no mask in /home/ann lee/my scans/masks: 3 images")
        'no mask in …/masks: 3 images'
        >>> hide_places("medtransfer run s.yaml --data=/srv/x --store postgresql://u:pw@db/s")
        'medtransfer run s.yaml --data=…/x --store postgresql://…@db/s'
        >>> hide_places("10 of 20 and/or 3/4")
        '10 of 20 and/or 3/4'
    """
    text = _CREDENTIALS.sub(r"\g<scheme>…@", text)
    text = _FILE_ADDRESS.sub(lambda found: found["scheme"].rstrip("/") + _last_part(found["path"]), text)
    text = _QUOTED.sub(lambda found: found["quote"] + _last_part(found["path"]) + found["quote"], text)
    return _BARE.sub(lambda found: _last_part(found["path"]), text)


def without_places(value: Any) -> Any:
    """Return a JSON value whose texts, at any depth, went through :func:`hide_places`."""
    if isinstance(value, str):
        return hide_places(value)
    if isinstance(value, Mapping):
        return {hide_places(str(key)): without_places(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(item) for item in value]
    return value


def _last_part(path: str) -> str:
    parts = [part for part in re.split(r"[\\/]", path) if part]
    return f"…/{parts[-1]}" if parts else "…"
