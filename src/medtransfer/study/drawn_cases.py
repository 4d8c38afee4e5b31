"""Small tables of drawn cases, shaped like a task's, on which a protocol can be tried for its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.fingerprints import hash_json
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CaseShape:
    """What the cost of a task's cases depends on, besides how many there are."""

    kind: TaskKind
    """What is predicted."""
    classes: tuple[str, ...]
    """Class names."""
    structures: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What segmentation scores, where that is not each class by itself."""
    scored: tuple[str, ...] = ()
    """Classes of a multi-label task that its metrics cover; empty: all."""
    has_volumes: bool = False
    """Whether cases are slices of volumes."""
    has_fields_of_view: bool = False
    """Whether scores leave out what lies beyond a field of view."""

    @classmethod
    def of(cls, cases: CaseTable) -> CaseShape:
        """Return the shape of a task's cases."""
        return cls(
            kind=cases.kind,
            classes=cases.classes,
            structures=tuple((name, tuple(union)) for name, union in cases.structures.items()),
            scored=cases.scored,
            has_volumes=cases.has_volumes,
            has_fields_of_view=cases.offers("field-of-view"),
        )


@dataclass(frozen=True)
class DrawnImages:
    """Noise as images, squares as masks; the same for a locator on every call."""

    side: int
    """Side length in pixels."""
    classes: int
    """Number of classes in a mask."""

    def read_image(self, locator: str) -> UInt8Array:
        """Return grey noise, shape (side, side)."""
        return np.random.default_rng(int(locator)).integers(0, 256, (self.side, self.side), dtype=np.uint8)

    def read_mask(self, locator: str) -> UInt8Array:
        """Return a square of one class in the middle, shape (side, side)."""
        mask = np.zeros((self.side, self.side), dtype=np.uint8)
        edge = self.side // 4
        mask[edge:-edge, edge:-edge] = int(locator) % self.classes + 1
        return mask

    def content_hash(self, locator: str) -> str:
        """Return a digest of what decides the pixels."""
        return hash_json(["drawn", self.side, self.classes, locator])

    def describe(self, locator: str) -> str:
        """Return the locator, marked as drawn."""
        return f"drawn image {locator}"


def draw_cases(shape: CaseShape, side: int, *, train: int, val: int, test: int) -> CaseTable:
    """Return a table of drawn cases in which every class occurs as soon as there are cases enough.

    Args:
        shape: Kind, classes and what else the table offers.
        side: Side length of the images in pixels.
        train: Number of training cases.
        val: Number of validation cases.
        test: Number of test cases.
    """
    numbers = np.arange(train + val + test)
    columns: dict[str, Any] = {
        "case_id": [f"case-{number}" for number in numbers],
        "patient_id": [f"patient-{number}" for number in numbers],
        "split": ["train"] * train + ["val"] * val + ["test"] * test,
        "image": [str(number) for number in numbers],
    }
    if shape.has_volumes:
        columns["volume_id"] = [f"volume-{number}" for number in numbers]
    if shape.has_fields_of_view:
        columns["field_of_view"] = [str(number) for number in numbers]
    return CaseTable(
        frame=pd.DataFrame(columns | _targets(shape, numbers)),
        kind=shape.kind,
        classes=shape.classes,
        source=DrawnImages(side, len(shape.classes)),
        split_source="ours",
        structures=dict(shape.structures),
        scored=shape.scored,
    )


def _targets(shape: CaseShape, numbers: npt.NDArray[np.int64]) -> dict[str, Any]:
    if shape.kind is TaskKind.SEGMENTATION:
        return {"mask": [(str(number),) for number in numbers]}
    if shape.kind is TaskKind.MULTI_LABEL:
        return {
            f"{LABEL_PREFIX}{name}": ((numbers + place) % 2).astype(float)
            for place, name in enumerate(shape.classes)
        }
    return {"label": numbers % len(shape.classes)}
