"""What the header of a DICOM file says about place, patient and pixels; remembered until the file changes."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medtransfer.core.errors import BadImageError
from medtransfer.data.file_memory import FileMemory
from medtransfer.data.inside_root import path_inside

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

MAX_BYTES: Final = 2 * 2**30
"""Most bytes of decoded pixels in one file."""

_MAX_INFLATION: Final = 50
_PREAMBLE: Final = 128
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"


def dicom_errors() -> tuple[type[BaseException], ...]:
    """Return what pydicom and its decoders were seen to raise on damaged bytes."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    builtin = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
    others = (
        RuntimeError,
        zlib.error,
        MemoryError,
        AssertionError,
        struct.error,
        BytesLengthException,
        InvalidDicomError,
    )
    return (*builtin, *others)


@dataclass(frozen=True)
class DicomHeader:
    """The parts of a header that cases, series and splits are made from; empty where the file has none."""

    sop_uid: str
    """SOPInstanceUID, the identity of the file."""
    series_uid: str
    """SeriesInstanceUID."""
    study_uid: str
    """StudyInstanceUID."""
    patient_id: str
    """PatientID, outer blanks removed."""
    modality: str
    """Such as CT, MR, CR, DX or US."""
    body_part: str
    """BodyPartExamined, outer blanks removed."""
    rows: int
    """Height in pixels."""
    columns: int
    """Width in pixels."""
    frames: int
    """Number of frames, at least 1."""
    photometric: str
    """PhotometricInterpretation."""
    instance_number: int | None
    """InstanceNumber."""
    position_mm: tuple[float, float, float] | None
    """ImagePositionPatient: centre of the first pixel in mm, patient axes left, posterior, superior."""
    orientation: tuple[float, ...] | None
    """ImageOrientationPatient: unit vectors along a row and along a column, six numbers."""
    spacing_mm: tuple[float, float] | None
    """PixelSpacing: between rows, then between columns, in mm."""
    temporal_position: float | None
    """TemporalPositionIdentifier, else AcquisitionNumber; orders slices that lie at one place."""

    @property
    def place_mm(self) -> float | None:
        """Position along the normal of the slice in mm; None without position or orientation."""
        if self.position_mm is None or self.orientation is None:
            return None
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return float(np.dot(normal, self.position_mm))


def is_dicom(start: bytes) -> bool:
    """Return whether a file that starts with these (at least 132) bytes is in the DICOM file format."""
    return start[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def read_dicom_header(root: Path, locator: str) -> DicomHeader:
    """Return the header of a file below ``root``.

    Raises:
        BadImageError: If the file is missing, outside the root, no DICOM file, cut off within the
            header, or has no image.
    """
    path = path_inside(root, locator)
    try:
        fields: dict[str, Any] = json.loads(_headers.recall(path))
    except BadImageError as error:
        raise BadImageError(str(error).replace(path.name, locator, 1)) from error
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return DicomHeader(**values)


def read_dataset(path: Path, name: str, *, pixels: bool) -> FileDataset:
    """Return a DICOM file's data set after checking that it is an image of a bearable size.

    Args:
        path: File to read.
        name: What to call it in a message.
        pixels: Whether to read the pixel data too.

    Raises:
        BadImageError: If it is missing, damaged, not in the DICOM file format, lacks a tag an image
            must have, or declares more than ``MAX_BYTES`` of pixels.
    """
    import pydicom

    try:
        _refuse_other_content(path, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable values; what matters is checked below
            _refuse_inflation(path, name)
            dataset = pydicom.dcmread(path, stop_before_pixels=not pixels)
            _check_image(dataset, name)
    except BadImageError:
        raise
    except dicom_errors() as error:
        raise BadImageError(
            f"{name}: expected a readable DICOM file, got {dicom_reason(error)}. Replace the file."
        ) from error
    return dataset


def dicom_reason(error: BaseException) -> str:
    """Return what went wrong in one line, without a path."""
    text = str(getattr(error, "strerror", None) or error).split("\n", 1)[0]
    return f"{type(error).__name__}: {text}"[:200]


def _refuse_other_content(path: Path, name: str) -> None:
    with path.open("rb") as stream:
        if not is_dicom(stream.read(_PREAMBLE + 4)):
            raise BadImageError(
                f"{name}: expected a DICOM file with 'DICM' after 128 bytes, got other content. Replace the file."
            )


def _refuse_inflation(path: Path, name: str) -> None:
    """Refuse a deflated file that unpacks to more than 50 times its size, without unpacking it all."""
    import pydicom

    meta = pydicom.filereader.read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        return
    most = _MAX_INFLATION * path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(_PREAMBLE + 4)
        # group length element: tag, VR, length, then the number of bytes that follow in the group
        stream.seek(_PREAMBLE + 4 + 12 + int(meta.FileMetaInformationGroupLength))
        engine, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while chunk := stream.read(1 << 16):
            while chunk:
                size += len(engine.decompress(chunk, 1 << 20))
                chunk = engine.unconsumed_tail
                if size > most:
                    raise BadImageError(
                        f"{name}: expected deflated data of at most {_MAX_INFLATION} times the file's size, "
                        "got more. Replace the file."
                    )


_NEEDED: Final = ("Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel")


def _check_image(dataset: Dataset, name: str) -> None:
    missing = [
        tag
        for tag in (*_NEEDED, "PhotometricInterpretation", "PixelRepresentation")
        if dataset.get(tag) is None
    ]
    if missing:
        raise BadImageError(
            f"{name}: expected a DICOM image, got a file without {', '.join(missing)}. "
            "It is cut off, or holds no image: replace or remove it."
        )
    rows, columns, bits, stored, samples = (int(dataset[tag].value) for tag in _NEEDED)
    frames = _frames(dataset)
    size = rows * columns * frames * samples * bits // 8
    if min(rows, columns, stored, samples, frames) < 1 or samples not in (1, 3) or bits not in (1, 8, 16, 32):
        raise BadImageError(
            f"{name}: expected a grey or RGB image of 1, 8, 16 or 32 bits, got {columns} x {rows} pixels, "
            f"{frames} frames, {samples} samples of {bits} bits. Replace the file."
        )
    if size > MAX_BYTES:
        raise BadImageError(
            f"{name}: expected at most {MAX_BYTES} bytes of pixels, got {columns} x {rows} x {frames} x {samples} "
            f"of {bits} bits. Split the file."
        )


def _frames(dataset: Dataset) -> int:
    value = dataset.get("NumberOfFrames")
    return 1 if value in (None, "") else int(value)


def _find_header(path: Path) -> str:
    dataset = read_dataset(path, path.name, pixels=False)
    try:
        header = _header(dataset)
    except dicom_errors() as error:
        raise BadImageError(
            f"{path.name}: expected a readable DICOM header, got {dicom_reason(error)}. Replace the file."
        ) from error
    return json.dumps(asdict(header))


def _header(dataset: Dataset) -> DicomHeader:
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    position = _numbers(dataset, "ImagePositionPatient", 3)
    spacing = _numbers(dataset, "PixelSpacing", 2)
    moment = _numbers(dataset, "TemporalPositionIdentifier", 1) or _numbers(dataset, "AcquisitionNumber", 1)
    number = _numbers(dataset, "InstanceNumber", 1)
    return DicomHeader(
        sop_uid=_text(dataset, "SOPInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        patient_id=_text(dataset, "PatientID"),
        modality=_text(dataset, "Modality"),
        body_part=_text(dataset, "BodyPartExamined"),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=_frames(dataset),
        photometric=_text(dataset, "PhotometricInterpretation"),
        instance_number=int(number[0]) if number else None,
        position_mm=(position[0], position[1], position[2]) if position else None,
        orientation=orientation,
        spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        temporal_position=moment[0] if moment else None,
    )


def _text(dataset: Dataset, tag: str) -> str:
    value = dataset.get(tag)
    return "" if value is None else str(value).strip()


def _numbers(dataset: Dataset, tag: str, count: int) -> tuple[float, ...] | None:
    value = dataset.get(tag)
    if value in (None, ""):
        return None
    numbers = tuple(float(part) for part in (value if count > 1 else [value]))
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


_headers: Final = FileMemory("dicom-header-1", _find_header)
