"""Which networks timm and torchvision define, found by reading their source text, not by importing them.

Importing either library imports torch, which takes seconds; a misspelt name in a study file should be
refused at once, with the names that are near.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\b.*?\ndef (\w+)\(", re.MULTILINE | re.DOTALL)


@cache
def library_names(library: str) -> frozenset[str]:
    """Return the names of the image networks a library registers.

    Args:
        library: ``timm`` or ``torchvision``.

    Returns:
        Names such as ``resnet18``; empty when the library is not installed.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "models"
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    return frozenset(name for text in texts for name in _REGISTERED.findall(text))
