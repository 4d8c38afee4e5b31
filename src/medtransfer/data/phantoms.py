"""Generated images as an image source: what a locator says is drawn, the same on every call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medtransfer.core.errors import BadImageError
from medtransfer.core.fingerprints import hash_json
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.phantom_chest import ChestPicture, draw_chest
from medtransfer.data.phantom_findings import FINDINGS
from medtransfer.data.phantom_photographs import draw_photograph, motifs

GENERATOR_REVISION = 1
"""Raised whenever a locator would give another picture."""

_NO_FINDING = "none"


def chest_locator(series: str, patient: int, view: int, findings: Iterable[str]) -> str:
    """Return the locator of a chest picture and of its lung mask.

    Example:
        >>> chest_locator("demo", 17, 0, {"tube", "nodule"})
        'chest/demo/17/0/nodule+tube'
    """
    present = set(findings)
    named = "+".join(name for name in FINDINGS if name in present)
    return f"chest/{series}/{patient}/{view}/{named or _NO_FINDING}"


def photograph_locator(series: str, motif: str, number: int) -> str:
    """Return the locator of a photographic picture.

    Example:
        >>> photograph_locator("demo", "stars", 3)
        'photograph/demo/stars/3'
    """
    return f"photograph/{series}/{motif}/{number}"


@dataclass(frozen=True)
class PhantomSource:
    """Draws phantom pictures; needs no file and no network.

    Example:
        >>> PhantomSource().read_image("photograph/demo/stars/3").shape
        (80, 80, 3)
    """

    def read_image(self, locator: str) -> UInt8Array:
        """Return a chest picture (80, 80) or a photographic one (80, 80, 3), uint8.

        Raises:
            BadImageError: If the locator names no phantom.
        """
        match locator.split("/"):
            case ["photograph", series, motif, number] if motif in motifs and _is_number(number):
                return draw_photograph(series, motif, int(number))
            case _:
                return _chest(locator).image

    def read_mask(self, locator: str) -> UInt8Array:
        """Return the lungs of a chest picture, shape (80, 80), uint8; 1 inside.

        Raises:
            BadImageError: If the locator names no phantom chest.
        """
        return _chest(locator).lungs

    def content_hash(self, locator: str) -> str:
        """Return a digest of the locator and the generator's revision, which decide every pixel."""
        return hash_json({"phantom": locator, "revision": GENERATOR_REVISION})

    def describe(self, locator: str) -> str:
        """Return the locator, marked as a phantom's."""
        return f"phantom {locator}"


def _chest(locator: str) -> ChestPicture:
    match locator.split("/"):
        case ["chest", series, patient, view, named] if _is_number(patient) and _is_number(view):
            findings = [] if named == _NO_FINDING else named.split("+")
            if set(findings) <= set(FINDINGS):
                return draw_chest(series, int(patient), int(view), findings)
    raise BadImageError(
        f"phantom {locator!r}: expected 'chest/SERIES/PATIENT/VIEW/FINDINGS' or "
        "'photograph/SERIES/MOTIF/NUMBER' with known findings and motifs, got something else. "
        "Use the locators of a phantom task."
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
