"""A small synthetic tree of CT slices from all over the body, with the disorder of a real archive."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator, seed_from
from medtransfer.tasks.sample_files import sample_uid, write_dicom

_SIDE: Final = 48
_SLICES: Final = 2
_TEXTS: Final = (
    ("HEAD", "SKULL", "Schädel", "SCHAEDEL", "Neck", "CCT"),
    ("CHEST", "THORAX", "Thx", "CT_THORAX", "TORSO", "LUNGE"),
    ("ABDOMEN", "ABD", "Oberbauch", "ABDOMEN/PELVIS", "Bauch", "DARM"),
    ("KNEE", "HAND", "Ellenbogen", "SHOULDER", "Fuß", "LEG"),
    ("PELVIS", "HIP", "Becken", "HUEFTE", "Hüfte", "BECKEN"),
    ("SPINE", "LSPINE", "HWS", "Wirbelsäule", "C-SPINE", "WS"),
)
"""BodyPartExamined of the scans of each region."""
_LEFT_OUT: Final = (("", "CT"), ("UNKNOWN", "CT"), ("WHOLEBODY", "CT"), ("ORTHO", "CT"), ("HEAD", "MR"))


def write_ct_body_region_sample(root: Path) -> None:
    """Write 36 scans of 35 patients with two slices each, and five files that no case is made from."""
    for region, texts in enumerate(_TEXTS):
        for place, text in enumerate(texts):
            for number in range(_SLICES):
                _write(root, 10 * region + place, number, region, text, "CT")
    for place, (text, modality) in enumerate(_LEFT_OUT):
        _write(root, 90 + place, 0, place, text, modality)


def _person(scan: int) -> int:
    """Return whose scan it is: the last scan of the spine is of the person of the last scan of the head."""
    return 5 if scan == 55 else scan


def _write(root: Path, scan: int, number: int, region: int, text: str, modality: str) -> None:
    series = sample_uid("ct-body-region", "series", scan)
    tags = {
        "StudyInstanceUID": sample_uid("ct-body-region", "study", scan),
        "SeriesInstanceUID": series,
        "SOPInstanceUID": sample_uid("ct-body-region", "slice", scan, number),
        "PatientID": f"R{seed_from('ct-body-region', _person(scan)) % 10**6:06}",
        "Modality": modality,
        "BodyPartExamined": text,
        "InstanceNumber": number + 1,
        "ImagePositionPatient": [-120.0, -120.0, 5.0 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [5.0, 5.0],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
    }
    stored = np.clip(_hounsfield(scan, number, region) + 1024, 0, 4095).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # archives have umlauts and lower case where DICOM allows neither
        write_dicom(root / f"{scan % 7}" / series / f"I{_SLICES - number:04}", stored, tags)


def _hounsfield(scan: int, number: int, region: int) -> npt.NDArray[np.float64]:
    """Return a cross-section (48, 48) of the region, in Hounsfield units."""
    draw = generator("ct-body-region", scan, number)
    y, x = (2 * np.mgrid[0:_SIDE, 0:_SIDE] / (_SIDE - 1) - 1) * draw.uniform(0.95, 1.1)
    y, x = y + draw.uniform(-0.05, 0.05), x + draw.uniform(-0.05, 0.05)
    values = np.full(x.shape, -1000.0)
    for centre, radii, value in _SHAPES[region]:
        inside = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1]) < 1
        values[inside] = value
    return values + draw.normal(0, 12, values.shape)


_Shape = tuple[tuple[float, float], tuple[float, float], float]
_SPINE_BONE: Final[_Shape] = ((0.0, 0.45), (0.13, 0.11), 500.0)
_LIMB_TISSUE: Final[tuple[_Shape, ...]] = (((-0.45, 0), (0.3, 0.32), 50), ((0.45, 0), (0.3, 0.32), 50))
_SHAPES: Final[tuple[tuple[_Shape, ...], ...]] = (
    (((0, 0), (0.6, 0.75), 900), ((0, 0), (0.52, 0.67), 35), ((0, 0), (0.1, 0.2), 5)),
    (((0, 0), (0.9, 0.65), 40), ((-0.42, 0), (0.3, 0.45), -850), ((0.42, 0), (0.3, 0.45), -850), _SPINE_BONE),
    (((0, 0), (0.9, 0.65), -90), ((-0.3, -0.05), (0.45, 0.4), 110), ((0.4, 0), (0.2, 0.3), 50), _SPINE_BONE),
    (*_LIMB_TISSUE, ((-0.45, 0), (0.11, 0.11), 900), ((0.45, 0), (0.11, 0.11), 900)),
    (((0, 0), (0.92, 0.6), 50), ((-0.55, 0.05), (0.18, 0.3), 600), ((0.55, 0.05), (0.18, 0.3), 600)),
    (((0, 0), (0.95, 0.95), 50), ((0, -0.1), (0.45, 0.4), 450), ((0, 0.5), (0.15, 0.3), 600)),
)
"""Ellipses of each region from back to front: centre, radii (x, y) and Hounsfield units."""
