"""Chest pictures of synthetic data sets on which every class can be seen, and who has which finding."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from medtransfer.core.seeds import generator
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.sample_pictures import chest_picture

_MARK: Final = 5
"""Side of a mark in pixels."""


def chest_with_findings(
    series: str, patient: int, view: int, classes: Collection[int], side: int = 64
) -> UInt8Array:
    """Return a chest-like picture (S, S) with a shadow and a square mark for each class it shows.

    Several classes share one kind of shadow; the marks, each in a place of its own along the upper and
    lower edge, tell them apart.

    Args:
        series: Name of the data set.
        patient: Number of the patient.
        view: Number of the exam.
        classes: Numbers of the classes the picture shows, below 20.
        side: Side S in pixels, at least 64.
    """
    image, _ = chest_picture(series, patient, view, classes, side)
    for number in classes:
        row, place = divmod(number, 10)
        top, left = row * (side - _MARK), place * (_MARK + 1) + 1
        image[top : top + _MARK, left : left + _MARK] = 255
        image[top + 1 : top + _MARK - 1, left + 1 : left + _MARK - 1] = 0
    return image


def drawn_findings(
    series: str, cases: int, classes: int, *, healthy_every: int = 4, share: float = 0.55
) -> list[tuple[int, ...]]:
    """Return the findings of each case: none in every ``healthy_every``-th, else at least one.

    Args:
        series: Name of the data set, which the draw depends on.
        cases: Number of cases.
        classes: Number of findings there are.
        healthy_every: How often a case has none.
        share: Chance of each finding in the other cases.
    """
    rng = generator("sample-findings", series)
    found: list[tuple[int, ...]] = []
    for case in range(cases):
        shown = np.flatnonzero(rng.random(classes) < share).tolist() or [case % classes]
        found.append(() if case % healthy_every == healthy_every - 1 else tuple(shown))
    return found
