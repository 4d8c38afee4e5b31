"""Pixel counts of predicted masks against the true ones, in the resolution the true ones were drawn in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.metrics.dice import FIELD_OF_VIEW, WHOLE_IMAGE
from medtransfer.metrics.predictions import SegmentationPredictions
from medtransfer.training.case_predictions import IndexArray, segmentation_predictions

UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

THRESHOLD = 0.5
"""A pixel belongs to the only class when its probability is above this."""

_VIEW_COLUMN = "field_of_view"


def score_masks(
    cases: CaseTable, rows: IndexArray, probabilities: Iterable[tuple[int, Tensor]]
) -> SegmentationPredictions:
    """Return the pixel counts of predicted masks, reading one true mask at a time.

    Probabilities are enlarged (or shrunk) bilinearly to each true mask's own size before they are
    thresholded, so a low network resolution costs what it would cost in use.

    Args:
        cases: All cases.
        rows: The rows to score.
        probabilities: Row and (K, H, W) probabilities of each case, in the order of ``rows``.

    Raises:
        DataError: If a mask cannot be read, or its field of view has another size.
    """
    counts = (_count_case(cases, row, shares) for row, shares in probabilities)
    return segmentation_predictions(cases, rows, region_names(cases), counts)


def region_names(cases: CaseTable) -> tuple[str, ...]:
    """Return where pixels are counted: the image and, where the table has one, the field of view."""
    return (WHOLE_IMAGE, FIELD_OF_VIEW) if _VIEW_COLUMN in cases.frame else (WHOLE_IMAGE,)


def count_pixels(
    predicted: UInt8Array,
    truth: UInt8Array,
    view: npt.NDArray[np.bool_] | None,
    structures: Sequence[Sequence[int]],
) -> IntArray:
    """Return true positive, false positive and false negative pixels.

    Args:
        predicted: (H, W), 0 background and k + 1 class k.
        truth: (H, W), likewise.
        view: (H, W), true inside the field of view; None counts the whole image only.
        structures: What is scored: for each of C structures its class ids from 1.

    Returns:
        (R, C, 3), R 1 or 2.

    Example:
        >>> ones = np.ones((2, 2), dtype=np.uint8)
        >>> count_pixels(ones, np.eye(2, dtype=np.uint8), None, [[1]]).tolist()
        [[[2, 2, 0]]]
    """
    if view is None:
        return _count(predicted, truth, structures)[None]
    return np.stack([_count(predicted, truth, structures), _count(predicted[view], truth[view], structures)])


def label_map(shares: Tensor) -> UInt8Array:
    """Return the predicted classes of probabilities (K, H, W), shape (H, W)."""
    labels = shares[0] > THRESHOLD if shares.shape[0] == 1 else shares.argmax(dim=0)
    return np.asarray(labels.to(torch.uint8).numpy())


def read_truth(cases: CaseTable, row: int) -> UInt8Array:
    """Return the mask of a case in its own resolution, (H, W): the union of its parts.

    Raises:
        DataError: If the parts differ in size, or a value stands for no class.
    """
    parts = [cases.source.read_mask(str(part)) for part in cases.frame["mask"].iloc[row]]
    if len({part.shape for part in parts}) > 1:
        raise DataError(
            f"case {_case(cases, row)!r}: expected parts of the mask of one size, got "
            f"{[part.shape for part in parts]!r}."
        )
    truth = np.asarray(np.maximum.reduce(parts))
    if truth.max(initial=0) > len(cases.classes):
        raise DataError(
            f"case {_case(cases, row)!r}: expected mask values up to {len(cases.classes)}, one per class, "
            f"got {truth.max()}. Declare which value is which class."
        )
    return truth


def read_view(cases: CaseTable, row: int) -> UInt8Array | None:
    """Return the field of view of a case, (H, W), or None when the table has none.

    Raises:
        DataError: If other cases have one and this one does not.
    """
    if _VIEW_COLUMN not in cases.frame:
        return None
    locator: Any = cases.frame[_VIEW_COLUMN].iloc[row]
    if not isinstance(locator, str) or not locator:
        raise DataError(
            f"case {_case(cases, row)!r}: expected a field of view as other cases have, got none."
        )
    return cases.source.read_mask(locator)


def _count_case(cases: CaseTable, row: int, shares: Tensor) -> IntArray:
    truth, view = read_truth(cases, row), read_view(cases, row)
    if view is not None and view.shape != truth.shape:
        raise DataError(
            f"case {_case(cases, row)!r}: expected a field of view of the mask's size {truth.shape}, "
            f"got {view.shape}."
        )
    if shares.shape[1:] != truth.shape:
        shares = functional.interpolate(shares[None], size=truth.shape, mode="bilinear", align_corners=False)[
            0
        ]
    structures = list(cases.scored_structures().values())
    return count_pixels(label_map(shares), truth, None if view is None else view > 0, structures)


def _count(predicted: UInt8Array, truth: UInt8Array, structures: Sequence[Sequence[int]]) -> IntArray:
    """Return the counts of every structure from one joint histogram, shape (C, 3)."""
    values = 1 + max(
        int(truth.max(initial=0)), int(predicted.max(initial=0)), *(max(union) for union in structures)
    )
    joint = np.bincount(truth.ravel().astype(np.int64) * values + predicted.ravel(), minlength=values**2)
    table = joint.reshape(values, values)
    rows = []
    for union in structures:
        ids = list(union)
        hits = table[np.ix_(ids, ids)].sum()
        rows.append([hits, table[:, ids].sum() - hits, table[ids].sum() - hits])
    return np.array(rows, dtype=np.int64)


def _case(cases: CaseTable, row: int) -> str:
    return str(cases.frame["case_id"].iloc[row])
