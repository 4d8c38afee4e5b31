"""Tiny files in the formats hospitals have, for the synthetic copies of data sets."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import seed_from

UID_ROOT: Final = "1.2.826.0.1.3680043.10.1611"
"""Prefix of the identifiers in samples; never that of a real device."""

PHANTOM_NOTE: Final = "medtransfer phantom: generated, of no patient"


def sample_uid(*parts: str | float) -> str:
    """Return a DICOM identifier that depends on nothing but its parts.

    Example:
        >>> sample_uid("study", 1) == sample_uid("study", 1) != sample_uid("study", 2)
        True
    """
    return f"{UID_ROOT}.{seed_from('uid', *parts)}"


def write_picture(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write an image (H, W) or (H, W, 3) as PNG, JPEG, TIFF, BMP or GIF, by the ending of the name."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], **how: Any) -> None:
    """Write a CSV file; ``how`` goes to :func:`csv.writer`, such as another delimiter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n", **how)
        writer.writerow(header)
        writer.writerows(rows)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of one entry per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_dicom(path: Path, stored: npt.NDArray[Any], tags: Mapping[str, object]) -> None:
    """Write one DICOM file, explicit little endian, not compressed.

    Args:
        path: File to write.
        stored: Stored values: (H, W) uint8, uint16 or int16, or (H, W, 3) uint8 for RGB, or
            (frames, H, W) for several frames.
        tags: Further elements by keyword, such as ``PatientID``, ``Modality``,
            ``ImagePositionPatient``, ``RescaleIntercept``, ``WindowCenter`` or
            ``PhotometricInterpretation``; these win over what is filled in here.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    uid = str(tags.get("SOPInstanceUID", sample_uid(path.as_posix())))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(str(tags.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")))
    meta.MediaStorageSOPInstanceUID = UID(uid)
    dataset = Dataset()
    dataset.file_meta = meta
    colour = stored.ndim == 3 and stored.shape[2] == 3 and stored.dtype == np.uint8
    frames = stored.shape[0] if stored.ndim == 3 and not colour else 1
    height, width = stored.shape[:2] if colour else stored.shape[-2:]
    bits = 8 * stored.dtype.itemsize
    filled: dict[str, object] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": sample_uid("study", path.parent.as_posix()),
        "SeriesInstanceUID": sample_uid("series", path.parent.as_posix()),
        "Modality": "OT",
        "PatientID": "phantom",
        "PatientName": "Phantom",
        "ImageComments": PHANTOM_NOTE,
        "Rows": height,
        "Columns": width,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
    }
    if colour:
        filled["PlanarConfiguration"] = 0
    if frames > 1:
        filled["NumberOfFrames"] = frames
    for keyword, value in (filled | dict(tags)).items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(stored).astype(stored.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)


def write_nifti(
    path: Path, voxels: npt.NDArray[Any], spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> None:
    """Write a volume (X, Y, Z) in patient axes right, anterior, superior as ``.nii`` or ``.nii.gz``."""
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing_mm, 1.0])), path)
