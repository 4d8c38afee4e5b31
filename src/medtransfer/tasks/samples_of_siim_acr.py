"""A small synthetic copy of the SIIM-ACR pneumothorax data, in the official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator, seed_from
from medtransfer.data.run_lengths import EMPTY, encode_runs
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_table
from medtransfer.tasks.sample_pictures import chest_picture

UInt8Array = npt.NDArray[np.uint8]

_IMAGES, _SIDE = 60, 64
_SERIES = "siim-acr"
_UNLISTED = 13
_INVERTED = 4


def write_siim_acr_sample(root: Path) -> None:
    """Write 60 images of 54 patients, a third of them with a pneumothorax, one of them without a row."""
    rows: list[tuple[str, str]] = []
    for number in range(_IMAGES):
        image = sample_uid(_SERIES, "image", number)
        picture, mask = _picture(number)
        _write_image(root, number, image, picture)
        if number != _UNLISTED:
            rows += [(image, f" {runs}") for runs in _texts(mask, several=number % 6 == 0)]
    rows.sort(key=lambda row: seed_from("order", *row))
    write_table(root / "train-rle.csv", ("ImageId", " EncodedPixels"), rows)


def _write_image(root: Path, number: int, image: str, picture: UInt8Array) -> None:
    inverted = number == _INVERTED
    tags = {
        "StudyInstanceUID": sample_uid(_SERIES, "study", number),
        "SeriesInstanceUID": sample_uid(_SERIES, "series", number),
        "SOPInstanceUID": image,
        "PatientID": sample_uid(_SERIES, "patient", _patient(number))[-16:],
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA" if number % 3 else "AP",
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
    }
    folder = root / "dicom-images-train" / str(tags["StudyInstanceUID"]) / str(tags["SeriesInstanceUID"])
    write_dicom(folder / f"{image}.dcm", 255 - picture if inverted else picture, tags)


def _patient(number: int) -> int:
    """Return the patient of an image: the last six images are of the first six patients."""
    return number % (_IMAGES - 6)


def _picture(number: int) -> tuple[UInt8Array, UInt8Array]:
    """Return a chest and, in every third, the dark rim of a lung that has come off the wall."""
    image, lungs = chest_picture(_SERIES, _patient(number), number, (), _SIDE)
    mask = np.zeros_like(lungs)
    if number % 3 == 0:
        draw = generator(_SERIES, number)
        half = np.arange(_SIDE) < _SIDE // 2
        lung = lungs * (half if draw.random() < 0.5 else ~half)
        tops, columns = np.nonzero(lung)
        row, column = np.mgrid[0:_SIDE, 0:_SIDE]
        inner = np.hypot(row - tops.max(), column - columns.mean()) < (0.65 * np.ptp(tops))
        mask = (lung.astype(bool) & ~inner).astype(np.uint8)
        image = np.where(mask > 0, image // 3, image).astype(np.uint8)
    return image, mask


def _texts(mask: UInt8Array, *, several: bool) -> list[str]:
    """Return the rows of a mask: one, or two that overlap."""
    if not (several and mask.any()):
        return [encode_runs(mask, relative=True)]
    rows = np.flatnonzero(mask.any(axis=1))
    middle = int(rows[len(rows) // 2])
    upper, lower = mask.copy(), mask.copy()
    upper[middle + 1 :], lower[: middle - 1] = 0, 0
    texts = [encode_runs(part, relative=True) for part in (upper, lower)]
    return [text for text in texts if text != EMPTY]
