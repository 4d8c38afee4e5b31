"""From the pixel data of a DICOM file to values with a unit, and from those to grey levels or colours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError
from medtransfer.data.dicom_headers import dicom_errors, dicom_reason, read_dataset
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.intensity import Window, to_grey_levels

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_COLOURS: Final = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_GREYS: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
_UNDEFINED: Final = 0xFFFFFFFF
_JPEG_12: Final = "1.2.840.10008.1.2.4.51"


@dataclass(frozen=True)
class DicomFrame:
    """One frame of a DICOM file."""

    values: npt.NDArray[Any]
    """(H, W) after the modality transform (rescale slope and intercept, or table), such as Hounsfield
    units; or (H, W, 3) colours as stored."""
    dataset: Dataset
    """The header; for what the file says about display."""
    name: str
    """What to call the file in a message."""

    @property
    def has_colour(self) -> bool:
        """Whether the frame has three channels."""
        return self.values.ndim == 3

    @property
    def air_is_bright(self) -> bool:
        """Whether small values are shown bright (MONOCHROME1)."""
        return str(self.dataset.PhotometricInterpretation) == "MONOCHROME1"


def read_dicom_frame(path: Path, name: str, frame: int = 0) -> DicomFrame:
    """Return a frame in the unit of its modality.

    Args:
        path: DICOM file, native or compressed (JPEG, JPEG-LS, JPEG 2000, RLE).
        name: What to call it in a message.
        frame: Number of the frame from 0.

    Raises:
        BadImageError: If the file is damaged, cut off, too large, has no such frame, or is
            compressed in a way no installed decoder knows.
    """
    dataset = read_dataset(path, name, pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_pixel_data(dataset, path, name)
            _check_frame(dataset, name, frame)
            values = _decoded(dataset, frame)
    except BadImageError:
        raise
    except dicom_errors() as error:
        extra = " Install medtransfer[jpeg12]." if _is_jpeg_12(dataset) else ""
        raise BadImageError(
            f"{name}: expected pixel data that can be decoded, got {dicom_reason(error)}.{extra} Replace the file."
        ) from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadImageError(f"{name}: expected finite pixel values, got NaN or infinity. Replace the file.")
    return DicomFrame(values, dataset, name)


def read_stored_values(path: Path, name: str, frame: int = 0) -> npt.NDArray[Any]:
    """Return a frame as stored, without any transform; for masks whose values are class numbers.

    Raises:
        BadImageError: As for :func:`read_dicom_frame`, and for images with colour.
    """
    from pydicom.pixels import pixel_array

    dataset = read_dataset(path, name, pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_pixel_data(dataset, path, name)
            _check_frame(dataset, name, frame)
            values: npt.NDArray[Any] = pixel_array(dataset, index=frame)
    except BadImageError:
        raise
    except dicom_errors() as error:
        raise BadImageError(
            f"{name}: expected a mask that can be decoded, got {dicom_reason(error)}. Replace the file."
        ) from error
    if values.ndim != 2:
        raise BadImageError(f"{name}: expected a grey mask, got colours. Store class values instead.")
    return values


def displayed(
    frame: DicomFrame, window: Window | None, value_range: tuple[float, float] | None
) -> UInt8Array:
    """Return a frame as grey levels or colours.

    Grey values are shown through the stated window or range, else through the file's own
    look-up table or window, else over the range of the image without its padding value. Where
    small values are bright (MONOCHROME1) the result is inverted, so that air is dark.

    Args:
        frame: What :func:`read_dicom_frame` returned.
        window: Range of values to show.
        value_range: Range measured on the whole volume; used when there is no window.

    Returns:
        Shape (H, W), or (H, W, 3) for colour images, uint8.
    """
    if frame.has_colour:
        return _eight_bits(frame)
    if window is not None:
        levels = to_grey_levels(frame.values, window.low, window.high)
    elif value_range is not None:
        levels = to_grey_levels(frame.values, *value_range)
    else:
        levels = _as_the_file_says(frame)
    return 255 - levels if frame.air_is_bright else levels


def _decoded(dataset: Dataset, frame: int) -> npt.NDArray[Any]:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    stored: npt.NDArray[Any] = pixel_array(dataset, index=frame)
    kind = str(dataset.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        coloured: npt.NDArray[Any] = apply_color_lut(stored, dataset)
        return coloured
    if kind in _COLOURS:
        return stored
    if kind not in _GREYS:
        raise ValueError(f"the photometric interpretation {kind!r}")
    if "ModalityLUTSequence" in dataset:
        through_table: npt.NDArray[Any] = apply_modality_lut(stored, dataset)
        return through_table
    return _rescaled(stored, dataset)


def _rescaled(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[Any]:
    """Return ``stored * slope + intercept``, as integers where all three are."""
    slope = _number(dataset, "RescaleSlope", 1.0)
    intercept = _number(dataset, "RescaleIntercept", 0.0)
    if slope == 1 and intercept == 0:
        return stored
    if slope == 1 and intercept.is_integer() and abs(intercept) < 2**30 and stored.dtype.itemsize <= 2:
        return _narrowed(stored.astype(np.int32) + np.int32(intercept))
    return stored * np.float64(slope) + np.float64(intercept)


def _narrowed(values: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Return 16-bit integers where they hold all values; half the memory of a volume."""
    limits = np.iinfo(np.int16)
    fits = values.min() >= limits.min and values.max() <= limits.max
    return values.astype(np.int16) if fits else values


def _number(dataset: Dataset, tag: str, default: float) -> float:
    value = dataset.get(tag)
    return default if value in (None, "") else float(value)


def _check_pixel_data(dataset: Dataset, path: Path, name: str) -> None:
    """Refuse pixel data that is absent, cut off or longer than the file."""
    declared = _declared_length(dataset)
    if declared is not None and declared[0] != declared[1]:
        raise BadImageError(
            f"{name}: expected {declared[0]} bytes of pixel data, as the file says, got {declared[1]}. "
            "Replace the file."
        )
    data = dataset.get("PixelData")
    if not data:
        raise BadImageError(
            f"{name}: expected pixel data, got none. The file is cut off or holds no image: replace or remove it."
        )
    if dataset["PixelData"].is_undefined_length:
        if not _ends_with_delimiter(path):
            raise BadImageError(
                f"{name}: expected compressed pixel data to its end, got a file that is cut off."
            )
        return
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        raise BadImageError(f"{name}: expected compressed pixel data in fragments, got one block of bytes.")
    samples, frames = int(dataset.SamplesPerPixel), int(dataset.get("NumberOfFrames") or 1)
    values = int(dataset.Rows) * int(dataset.Columns) * samples * frames
    if samples == 3 and str(dataset.PhotometricInterpretation) == "YBR_FULL_422":
        values = values * 2 // 3
    needed = (values * int(dataset.BitsAllocated) + 7) // 8
    if len(data) not in (needed, needed + 1):
        raise BadImageError(
            f"{name}: expected {needed} bytes for {dataset.Columns} x {dataset.Rows} pixels, {frames} frames "
            f"and {samples} samples of {dataset.BitsAllocated} bits, got {len(data)}. Replace the file."
        )


def _declared_length(dataset: Dataset) -> tuple[int, int] | None:
    """Return the declared and the real number of bytes of pixel data; None where no number is declared."""
    element: Any = dataset.get_item("PixelData") if "PixelData" in dataset else None
    length = getattr(element, "length", _UNDEFINED)  # only elements as they were read have one
    return None if length == _UNDEFINED else (length, len(element.value or b""))


def _ends_with_delimiter(path: Path) -> bool:
    """Return whether fragments end with a sequence delimiter, which may be followed by other elements."""
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - (1 << 16)))
        return b"\xfe\xff\xdd\xe0\x00\x00\x00\x00" in stream.read()


def _check_frame(dataset: Dataset, name: str, frame: int) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if not 0 <= frame < frames:
        raise BadImageError(f"{name}: expected a frame from 0 to {frames - 1}, got {frame}.")


def _is_jpeg_12(dataset: Dataset) -> bool:
    meta = getattr(dataset, "file_meta", None)
    return meta is not None and str(meta.get("TransferSyntaxUID", "")) == _JPEG_12


def _eight_bits(frame: DicomFrame) -> UInt8Array:
    if frame.values.dtype == np.uint8:
        return np.array(frame.values)
    stored = frame.dataset
    palette = str(stored.PhotometricInterpretation) == "PALETTE COLOR"
    bits = 8 * frame.values.dtype.itemsize if palette else int(stored.BitsStored)
    return (frame.values >> max(0, bits - 8)).astype(np.uint8)


def _as_the_file_says(frame: DicomFrame) -> UInt8Array:
    dataset = frame.dataset
    if "VOILUTSequence" in dataset:
        from pydicom.pixels import apply_voi

        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return to_grey_levels(apply_voi(frame.values, dataset), 0, 2**bits - 1)
    centre, width = (_first(dataset, tag) for tag in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 0:
        return to_grey_levels(frame.values, *_range_without_padding(frame))
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        return to_grey_levels(1 / (1 + np.exp(-4 * (frame.values - centre) / width)), 0.0, 1.0)
    if function == "LINEAR" and width > 1:
        centre, width = centre - 0.5, width - 1
    return to_grey_levels(frame.values, centre - width / 2, centre + width / 2)


def _first(dataset: Dataset, tag: str) -> float | None:
    """Return the first of one or several numbers: the view the maker of the file put first."""
    from pydicom.multival import MultiValue

    value = dataset.get(tag)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value in (None, "") else float(value)


def _range_without_padding(frame: DicomFrame) -> tuple[float, float]:
    values = frame.values
    padding = frame.dataset.get("PixelPaddingValue")
    if padding is not None:
        inside = values[values != _rescaled(np.array([padding], dtype=np.int32), frame.dataset)[0]]
        values = inside if inside.size else values
    return float(values.min()), float(values.max())
