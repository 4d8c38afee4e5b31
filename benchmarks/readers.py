"""Readers: from files in hospital formats to grey levels, against the plain library call that does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.uid import UID, JPEGLSLossless, RLELossless

from benchmarks.contest import Arm, Contest, Goal, Verdict
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS
from medtransfer.data.locators import raw_locator, slice_locator
from medtransfer.tasks.sample_files import write_dicom, write_nifti

SIDE: Final = 512
FILES: Final = 24
WINDOW: Final = WINDOWS["soft-tissue"]
GOAL: Final = Goal(0.9)

Pixels = npt.NDArray[np.uint8]
Read = Callable[[Path], Pixels]


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield one contest per format: the plain library call ÷ ours, per image or slice."""
    count = 2 if quick else FILES
    yield _pictures(folder / "png", count, ".png")
    yield _pictures(folder / "jpeg", count, ".jpg")
    yield _dicom(folder / "dicom", count, None, "DICOM, 16 bits")
    yield _dicom(folder / "dicom-ls", count, JPEGLSLossless, "DICOM, JPEG-LS")
    yield _dicom(folder / "dicom-rle", count, RLELossless, "DICOM, RLE")
    yield _nifti(folder / "nifti", 4 if quick else 96)
    yield _raw(folder / "raw", count)


def scan(number: int, side: int = SIDE) -> npt.NDArray[np.int16]:
    """Return a smooth, slightly noisy field of Hounsfield units, shape (side, side)."""
    draw = np.random.default_rng(number)
    coarse = draw.normal(0, 400, (side // 16, side // 16)).astype(np.float32)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field + draw.normal(0, 8, field.shape), dtype=np.int16)


def windowed(values: npt.NDArray[Any]) -> Pixels:
    """Return grey levels of Hounsfield units as a script would compute them."""
    share = (values.astype(np.float32) - WINDOW.low) / (WINDOW.high - WINDOW.low)
    return np.clip(np.floor(share * 255 + 0.5), 0, 255).astype(np.uint8)


def _pictures(folder: Path, count: int, ending: str) -> Contest:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(windowed(scan(number, 1024))).save(folder / f"{number:03}{ending}")
    return _contest(ending[1:].upper(), folder, lambda path: np.array(Image.open(path)), {})


def _dicom(folder: Path, count: int, syntax: UID | None, name: str) -> Contest:
    tags = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    for number in range(count):
        path = folder / f"{number:03}.dcm"
        write_dicom(path, (scan(number) + 1024).clip(0).astype(np.uint16), tags)
        if syntax is not None:
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax)
            dataset.save_as(path)

    def plainly(path: Path) -> Pixels:
        dataset = pydicom.dcmread(path)
        return windowed(apply_modality_lut(pixel_array(dataset), dataset))

    return _contest(name, folder, plainly, {"intensity": WINDOW})


def _raw(folder: Path, count: int) -> Contest:
    folder.mkdir(parents=True)
    for number in range(count):
        (scan(number, 1024) // 2 + 2048).clip(0, 4095).astype(">u2").tofile(folder / f"{number:03}.IMG")

    def plainly(path: Path) -> Pixels:
        values = np.fromfile(path, dtype=">u2").reshape(1024, 1024).astype(np.float32)
        return np.asarray(255 - np.floor(values * 255 / 4095 + 0.5), dtype=np.uint8)

    return _contest("raw film, 12 bits", folder, plainly, {}, raw_locator)


def _nifti(folder: Path, slices: int) -> Contest:
    """Every slice of a packed volume; ours forgets the volume before each round."""
    voxels = np.stack([scan(number, 256) for number in range(slices)], axis=2)
    path = folder / "volume.nii.gz"
    write_nifti(path, voxels)

    def theirs() -> list[Pixels]:
        values = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)
        return [windowed(values[::-1, ::-1, index].T) for index in range(slices)]

    def ours() -> list[Pixels]:
        path.touch()  # another modification time: nothing that was kept counts
        source = FileSource(folder, intensity=WINDOW)
        return [source.read_image(slice_locator(path.name, index)) for index in range(slices)]

    arms = (Arm("nibabel", theirs, slices), Arm("medtransfer", ours, slices))
    return Contest("NIfTI, packed", *arms, goal=GOAL, verify=_equal)


def _contest(
    name: str,
    folder: Path,
    plainly: Read,
    options: Mapping[str, Any],
    locator: Callable[[str], str] = str,
) -> Contest:
    paths = sorted(folder.iterdir())
    source = FileSource(folder, **options)
    named = [locator(path.name) for path in paths]
    theirs = Arm("library", lambda: [plainly(path) for path in paths], len(paths))
    ours = Arm("medtransfer", lambda: [source.read_image(entry) for entry in named], len(paths))
    return Contest(name, theirs, ours, goal=GOAL, verify=_equal)


def _equal(results: Mapping[str, Sequence[Pixels]]) -> Verdict:
    one, other = results.values()
    difference = max(
        int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max()) for a, b in zip(one, other, strict=True)
    )
    return Verdict(difference <= 1, {"largest_difference": difference})
