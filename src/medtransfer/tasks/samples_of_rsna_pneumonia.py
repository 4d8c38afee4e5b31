"""A synthetic copy of the RSNA Pneumonia Detection Challenge in its official layout."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final

from medtransfer.tasks.rsna_pneumonia import CLASSES, MAPPING_NAME
from medtransfer.tasks.sample_chests import chest_with_findings
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_json, write_table

_PATIENTS: Final = 36
_UNLABELLED: Final = 2
_SHOWN: Final = ((), (3,), (2,))
"""What the picture of each class shows."""


def write_rsna_pneumonia_sample(root: Path) -> None:
    """Write 72 images of 36 patients with one to three images each, and two images without labels.

    An image with lung opacity has one to three boxes, hence as many rows in both label files.
    """
    exams = [(patient, view) for patient in range(1, _PATIENTS + 1) for view in range(1 + patient % 3)]
    boxes: list[tuple[object, ...]] = []
    classes: list[tuple[str, str]] = []
    mapping: list[dict[str, object]] = []
    for number, (patient, view) in enumerate(exams):
        label = (patient + view) % len(CLASSES)
        image = _write_image(root / "stage_2_train_images", patient, view, _SHOWN[label])
        found = [(260 + 40 * box, 300, 210, 380, 1) for box in range(1 + number % 3)]
        rows = found if label == 2 else [("", "", "", "", 0)]
        boxes += [(image, *row) for row in rows]
        classes += [(image, CLASSES[label])] * len(rows)
        mapping.append(_entry(image, patient, view))
    for patient in range(_PATIENTS + 1, _PATIENTS + 1 + _UNLABELLED):
        image = _write_image(root / "stage_2_test_images", patient, 0, ())
        mapping.append(_entry(image, patient, 0))
    write_table(
        root / "stage_2_train_labels.csv", ("patientId", "x", "y", "width", "height", "Target"), boxes
    )
    write_table(root / "stage_2_detailed_class_info.csv", ("patientId", "class"), classes)
    write_json(root / MAPPING_NAME, mapping)


def _write_image(folder: Path, patient: int, view: int, shown: tuple[int, ...]) -> str:
    """Write an image of 8 bits and return its name, which stands where a patient's would."""
    uid = sample_uid("rsna-pneumonia", patient, view)
    image = str(uuid.uuid5(uuid.NAMESPACE_OID, uid))
    tags = {
        "SOPInstanceUID": uid,
        "StudyInstanceUID": sample_uid("rsna-pneumonia", "study", patient, view),
        "SeriesInstanceUID": sample_uid("rsna-pneumonia", "series", patient, view),
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "PatientID": image,
        "PatientName": image,
    }
    write_dicom(folder / f"{image}.dcm", chest_with_findings("rsna-pneumonia", patient, view, shown), tags)
    return image


def _entry(image: str, patient: int, view: int) -> dict[str, object]:
    return {
        "subset_img_id": image,
        "SOPInstanceUID": sample_uid("rsna-pneumonia", patient, view),
        "img_id": f"{patient:08d}_{view:03d}.png",
    }
