"""Names of own data: files of a store bear them, so that not everything can be one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_MOST_CHARACTERS, _MOST_BYTES = 80, 200
"""The split a store keeps bears the task's name, and a file name has at most 255 bytes."""


def name_faults(name: str) -> Iterator[str]:
    """Yield why a name cannot be that of own data, each with what to do about it.

    Args:
        name: As it stands in a study file; letters of any script may be in it.

    Example:
        >>> list(name_faults("lungs 2")), len(list(name_faults("../lungs")))
        ([], 2)
    """
    if not name[:1].isalnum():
        yield f"name: expected a letter or digit first, got {name[:1]!r}. Choose another name."
    strange = sorted({sign for sign in name if not (_is_letter_or_digit(sign) or sign in " ._-+")})
    if strange:
        yield (
            "name: expected letters, digits, spaces and . _ - + only, got "
            f"{' '.join(map(ascii, strange[:5]))}. Choose another name."
        )
    if name[1:].endswith(" "):
        yield "name: expected no space at its end. Take it away."
    size = len(name.encode(errors="surrogatepass"))
    if len(name) > _MOST_CHARACTERS or size > _MOST_BYTES:
        yield (
            f"name: expected at most {_MOST_CHARACTERS} characters and {_MOST_BYTES} bytes, got {len(name)} "
            f"and {size}. Choose a shorter one; 'title' has room for more."
        )


def _is_letter_or_digit(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign) in ("Mn", "Mc")  # accents set apart, vowel signs
