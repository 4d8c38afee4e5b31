"""Every problem a case table can have: the codes a study accepts by name, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PROBLEM_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unexpected-count": "the number of cases or images is not the declared one",
        "unlisted-image": "images that no split list names, and that are left out",
        "dropped-rows": "rows left out because their label is empty",
        "empty-split": "a split without cases",
        "unexpected-split": "a split that is none of train, val and test",
        "patient-overlap": "a patient in two splits",
        "similar-patients": "patient ids in two splits that differ only in spelling",
        "unexpected-label": "a label that no class has",
        "class-absent": "a split without any case of a class",
        "unreadable-image": "an image that cannot be decoded",
        "constant-image": "an image whose pixels are all equal",
        "unreadable-mask": "a mask that cannot be decoded, or has a value no class has",
        "mask-size": "a mask of another size than its image",
        "duplicate-image": "equal pixels in two splits",
        "empty-mask": "a mask without foreground where the label says there is some",
        "unexpected-mask": "a mask with foreground where the label says there is none",
    }
)
"""Code to meaning."""
