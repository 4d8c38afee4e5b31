"""Numbers, shares and settings as the words every table and page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NONE = "–"
"""Shown where there is nothing to say; never a number."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people, with a real minus sign; a dash for null.

    Example:
        >>> number(0.8204), number(-0.1, 1), number(None)
        ('0.820', '−0.1', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    r"""Return a share as a percentage without needless digits, with a space that does not break.

    Example:
        >>> percent(1.0), percent(0.1), percent(0.005)
        ('100\xa0%', '10\xa0%', '0.5\xa0%')
    """
    return f"{share * 100:.6g}\xa0%"


def count(number_of: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Example:
        >>> count(1, "run"), count(2, "run"), count(1200, "test case")
        ('1 run', '2 runs', '1,200 test cases')
    """
    noun = singular if number_of == 1 else (plural or singular + "s")
    return f"{number_of:,} {noun}"


def listed(names: list[str], most: int = 5) -> str:
    """Return names as a list in a sentence, at most ``most`` of them.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], most=2)
        ('a', 'a and b', 'a, b and 1 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def setting(value: Any) -> str:
    """Return a resolved parameter as text.

    Example:
        >>> setting(0.001), setting(True), setting(None), setting([1, 4 / 3]), setting("adamw")
        ('0.001', 'yes', 'none', '1, 1.33333', 'adamw')
        >>> setting({"flip": 0.5, "crop_scale": [0.5, 1.0]})
        '(crop scale [0.5, 1], flip 0.5)'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value) or "none"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{_words(name)} {_bracketed(value[name])}' for name in sorted(value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def settings(values: Mapping[str, Any]) -> str:
    """Return parameters as one line, sorted by name.

    Example:
        >>> settings({"image_size": 96, "epochs": 15})
        'epochs 15; image size 96'
    """
    return "; ".join(f"{_words(name)} {setting(values[name])}" for name in sorted(values))


def _bracketed(value: Any) -> str:
    return f"[{setting(value)}]" if isinstance(value, list | tuple) else setting(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def short_hash(digest: str) -> str:
    """Return the start of a digest, and other marks (``random``, ``hub:…``) whole."""
    is_digest = len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest)
    return digest[:12] if is_digest else digest
