"""NIfTI volumes: checked before they are unpacked, turned to patient axes, and cut into slices."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError

if TYPE_CHECKING:
    import nibabel as nib

Plane = Literal["axial", "coronal", "sagittal"]
"""Which way a volume is cut."""

MAX_BYTES: Final = 4 * 2**30
"""Most bytes of voxels in one volume."""
KEPT_BYTES: Final = 1536 * 2**20
"""Bytes of unpacked volumes a process keeps; the last one is kept whatever its size."""

_HEADER: Final = 348
_MAX_TAIL: Final = 1 << 20
_AXIS: Final[dict[str, int]] = {"sagittal": 0, "coronal": 1, "axial": 2}
_ERRORS: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


@dataclass(frozen=True)
class Volume:
    """A volume in patient axes."""

    voxels: npt.NDArray[Any]
    """(X, Y, Z) values in the file's unit; indices grow towards the patient's right, anterior and
    superior side (RAS+)."""
    spacing_mm: tuple[float, float, float]
    """Distance of neighbouring voxels along the three axes, in mm."""

    def count(self, plane: Plane) -> int:
        """Return the number of slices of a plane."""
        return int(self.voxels.shape[_AXIS[plane]])

    def cut(self, index: int, plane: Plane) -> npt.NDArray[Any]:
        """Return one slice as it is looked at: anterior or superior at the top, the patient's right at the left.

        Sagittal slices have anterior at the left. Slices are counted from inferior, posterior or left.
        """
        at: list[slice | int] = [slice(None)] * 3
        at[_AXIS[plane]] = index
        part = self.voxels[tuple(at)]  # a view; numpy's take would copy the whole volume first
        return np.ascontiguousarray(part[::-1, ::-1].T)


def is_nifti(start: bytes) -> bool:
    """Return whether a file that starts with these (at least 348) bytes is a NIfTI-1 or -2 file, unpacked or not.

    Of a gzip file, the first bytes are unpacked to look inside.
    """
    if start[:2] == b"\x1f\x8b":
        try:
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, _HEADER)
        except zlib.error:
            return False
    return start[344:348] in {b"n+1\0", b"ni1\0"} or start[4:8] in {b"n+2\0", b"ni2\0"}


def read_nifti_volume(path: Path, name: str) -> Volume:
    """Return a volume in patient axes; one that was read a moment ago is not read again.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        name: What to call it in a message.

    Raises:
        BadImageError: If the file is missing, damaged, cut off, larger or smaller than its header
            says, not three-dimensional, without a usable orientation, or holds NaN or infinity.
    """
    try:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        volume = _recent.get(key)
        if volume is None:
            volume = _read(path, name)
            _recent.put(key, volume)
    except BadImageError:
        raise
    except (*_ERRORS, struct.error, zlib.error) as error:
        text = str(getattr(error, "strerror", None) or error).split("\n", 1)[0][:160]
        raise BadImageError(
            f"{name}: expected a readable NIfTI file, got {type(error).__name__}: {text}. Replace the file."
        ) from error
    return volume


def read_nifti_slices(path: Path, name: str, plane: Plane) -> int:
    """Return how many slices a volume has, from its header alone.

    Raises:
        BadImageError: As for :func:`read_nifti_volume`, as far as the header tells.
    """
    import nibabel as nib

    try:
        header, _ = _checked_header(path, name)
        affine = _affine(header, name)
        axes = nib.orientations.io_orientation(affine)[:, 0].astype(int).tolist()
        return int(_shape(header, name)[axes.index(_AXIS[plane])])
    except BadImageError:
        raise
    except (*_ERRORS, struct.error, zlib.error) as error:
        raise BadImageError(
            f"{name}: expected a readable NIfTI file, got {type(error).__name__}: {error}. Replace the file."
        ) from error


def _read(path: Path, name: str) -> Volume:
    import nibabel as nib

    header, needed = _checked_header(path, name)
    shape = _shape(header, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
        image = kind.from_stream(BytesIO(_content(path, needed, name)))
        voxels = np.asanyarray(image.dataobj).reshape(shape)
    if voxels.dtype == np.float64:
        voxels = voxels.astype(np.float32)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise BadImageError(f"{name}: expected finite voxels, got NaN or infinity. Repair the volume.")
    affine = _affine(header, name)
    turn = nib.orientations.io_orientation(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    return Volume(
        nib.orientations.apply_orientation(voxels, turn),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
    )


def _checked_header(path: Path, name: str) -> tuple[nib.Nifti1Header, int]:
    """Return the header and the number of unpacked bytes the file must have."""
    import nibabel as nib

    with _unpacked(path) as stream:
        start = stream.read(544)
    if len(start) < _HEADER or not is_nifti(start):
        raise BadImageError(
            f"{name}: expected a NIfTI-1 or NIfTI-2 file, got other content. Replace the file."
        )
    second = start[4:8] in {b"n+2\0", b"ni2\0"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = nib.Nifti2Header if second else nib.Nifti1Header
        header = kind(start[: 540 if second else _HEADER])
    dims = [int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1]]
    if not 3 <= len(dims) <= 7 or min(dims) < 1:
        raise BadImageError(f"{name}: expected a volume of three dimensions, got {dims!r}. Replace the file.")
    size = int(header.get_data_dtype().itemsize)
    for number in dims:
        size *= number
    if size > MAX_BYTES:
        raise BadImageError(
            f"{name}: expected at most {MAX_BYTES} bytes of voxels, got {dims!r}. Cut the volume."
        )
    needed = int(header["vox_offset"]) + size
    if path.suffix != ".gz" and not _is_gzip(path) and path.stat().st_size < needed:
        raise BadImageError(
            f"{name}: expected {needed} bytes for {dims!r}, got {path.stat().st_size}. The header lies or the "
            "file is cut off: replace it."
        )
    return header, needed


def _content(path: Path, needed: int, name: str) -> bytes:
    """Return the unpacked file, read to its end so that its checksum is verified, and never much further."""
    with _unpacked(path) as stream:
        content = stream.read(needed)
        tail = len(stream.read(_MAX_TAIL + 1))
    if len(content) < needed or tail > _MAX_TAIL:
        raise BadImageError(
            f"{name}: expected {needed} bytes unpacked, as the header says, got "
            f"{'fewer' if len(content) < needed else 'many more'}. Replace the file."
        )
    return content


def _unpacked(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if _is_gzip(path) else path.open("rb")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _shape(header: nib.Nifti1Header, name: str) -> tuple[int, int, int]:
    dims = header.get_data_shape()
    if len(dims) < 3 or any(number != 1 for number in dims[3:]):
        raise BadImageError(
            f"{name}: expected one volume of three dimensions, got shape {tuple(dims)}. Split it into volumes."
        )
    if header.get_data_dtype().names is not None or header.get_data_dtype().kind not in "iufb":
        raise BadImageError(
            f"{name}: expected grey voxels, got {header.get_data_dtype()}. Convert the volume."
        )
    return int(dims[0]), int(dims[1]), int(dims[2])


def _affine(header: nib.Nifti1Header, name: str) -> npt.NDArray[np.float64]:
    affine: npt.NDArray[np.float64] = header.get_best_affine()
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise BadImageError(
            f"{name}: expected an orientation (affine) that can be inverted, got {matrix.tolist()!r}. "
            "Repair the header."
        )
    return affine


class _RecentVolumes:
    """The volumes read last, up to a number of bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._volumes: OrderedDict[tuple[Path, int, int], Volume] = OrderedDict()

    def get(self, key: tuple[Path, int, int]) -> Volume | None:
        volume = self._volumes.get(key)
        if volume is not None:
            self._volumes.move_to_end(key)
        return volume

    def put(self, key: tuple[Path, int, int], volume: Volume) -> None:
        self._volumes[key] = volume
        while len(self._volumes) > 1 and sum(v.voxels.nbytes for v in self._volumes.values()) > self.most:
            self._volumes.popitem(last=False)


_recent: Final = _RecentVolumes(KEPT_BYTES)
