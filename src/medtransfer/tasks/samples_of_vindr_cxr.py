"""A synthetic copy of VinDr-CXR in its official layout."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from medtransfer.core.seeds import generator
from medtransfer.tasks.sample_chests import chest_with_findings, drawn_findings
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_table
from medtransfer.tasks.vindr_cxr import CLASSES, READERS

_LABELS: Final = (
    *("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture"),
    *("Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity"),
    *("Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass", "Pleural effusion"),
    *("Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD"),
    *("Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding"),
)
"""All columns of labels: of places in the image, then of the whole image."""

_IMAGES: Final = {"train": 60, "test": 12}
_DISSENT: Final = 0.12
_INVERTED: Final = 3


def write_vindr_cxr_sample(root: Path) -> None:
    """Write 60 training and 12 test images of 12 bits; in every third small values are bright.

    Each training image has three rows of readers out of seventeen, who do not always agree.
    """
    rng = generator("sample-readers", "vindr-cxr")
    train: list[tuple[object, ...]] = []
    for image, shown in _write_images(root, "train"):
        for reader in sorted(rng.choice(17, READERS, replace=False).tolist()):
            seen = {
                number for number in range(len(CLASSES)) if (number in shown) != (rng.random() < _DISSENT)
            }
            train.append((image, f"R{reader + 1}", *_cells(seen)))
    order = rng.permutation(len(train)).tolist()
    folder = root / "annotations"
    header = ("image_id", "rad_id", *_LABELS)
    write_table(folder / "image_labels_train.csv", header, [train[row] for row in order])
    test = [(image, *_cells(shown)) for image, shown in _write_images(root, "test")]
    write_table(folder / "image_labels_test.csv", ("image_id", *_LABELS), test)


def _write_images(root: Path, part: str) -> Iterator[tuple[str, set[int]]]:
    """Write the images of a folder and return the identifier of each and the classes it shows."""
    none = CLASSES.index("No finding")
    findings = drawn_findings(f"vindr-cxr-{part}", _IMAGES[part], none, healthy_every=3, share=0.65)
    for number, found in enumerate(findings):
        shown = set(found) or {none}
        image = hashlib.sha256(f"vindr-cxr {part} {number}".encode()).hexdigest()[:32]
        grey = chest_with_findings(f"vindr-cxr-{part}", number, 0, shown)
        stored = grey.astype(np.uint16) * 16
        inverted = number % _INVERTED == 0
        tags = {
            "SOPInstanceUID": sample_uid("vindr-cxr", image),
            "StudyInstanceUID": sample_uid("vindr-cxr", "study", image),
            "SeriesInstanceUID": sample_uid("vindr-cxr", "series", image),
            "Modality": "DX",
            "PatientID": "",
            "PatientName": "",
            "BitsStored": 12,
            "HighBit": 11,
            "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
            "WindowCenter": 2048,
            "WindowWidth": 4096,
        }
        write_dicom(root / part / f"{image}.dicom", 4095 - stored if inverted else stored, tags)
        yield image, shown


def _cells(shown: Collection[int]) -> list[int]:
    names = {CLASSES[number] for number in shown}
    return [int(label in names) for label in _LABELS]
