"""DICOM segmentation objects: which frame is the mask of which slice, and of which segment."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from medtransfer.core.errors import BadImageError
from medtransfer.data.dicom_headers import dicom_errors, dicom_reason, read_dataset
from medtransfer.data.inside_root import path_inside

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True)
class SegmentFrame:
    """One frame of a segmentation: a mask of one segment on one slice."""

    frame: int
    """Number of the frame from 0."""
    segment: int
    """Segment number, from 1."""
    sop_uid: str
    """SOPInstanceUID of the slice it lies on."""


def read_segment_frames(root: Path, locator: str) -> list[SegmentFrame]:
    """Return what the frames of a DICOM segmentation (SEG) are masks of.

    Args:
        root: The data folder.
        locator: The SEG file below it.

    Raises:
        BadImageError: If the file is damaged, no segmentation, or a frame does not name its slice.
    """
    dataset = read_dataset(path_inside(root, locator), locator, pixels=False)
    if str(dataset.get("SOPClassUID", "")) != SEGMENTATION_STORAGE:
        raise BadImageError(
            f"{locator}: expected a DICOM segmentation object for the masks of a whole series, got another file. "
            "Name the files of the series one by one, each with its mask."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [
                _frame(number, groups, dataset)
                for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence)
            ]
    except dicom_errors() as error:
        raise BadImageError(
            f"{locator}: expected frames that name their segment and their slice, got {dicom_reason(error)}. "
            "Export the segmentation with references to its source images."
        ) from error


def _frame(number: int, groups: Dataset, dataset: Dataset) -> SegmentFrame:
    shared = (
        dataset.SharedFunctionalGroupsSequence[0] if "SharedFunctionalGroupsSequence" in dataset else groups
    )
    named = groups if "SegmentIdentificationSequence" in groups else shared
    segment = named.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    source = groups.DerivationImageSequence[0].SourceImageSequence[0]
    return SegmentFrame(number, int(segment), str(source.ReferencedSOPInstanceUID))
