"""Text that is safe to show: no signs that move a cursor, break a line or turn the reading direction."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_WHITE = re.compile(r"[ \t\r\n\f\v]+")


def printable(text: str) -> str:
    r"""Return text with control and invisible signs written out as escapes.

    Example:
        >>> print(printable("a" + chr(27) + "[31mb"))
        a\x1b[31mb
    """
    return _UNSEEN.sub(_escape, text)


def one_line(text: str) -> str:
    """Return text on one line: runs of white space become one space, other control signs are written out."""
    return printable(_WHITE.sub(" ", text.strip(" \t\r\n\f\v")))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
