"""A small synthetic copy of the RSNA-STR pulmonary embolism data, in the official layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import seed_from
from medtransfer.tasks.sample_files import sample_uid, write_dicom, write_table
from medtransfer.tasks.sample_pictures import torso_volume

_STUDIES, _SLICES, _SIDE = 18, 4, 48
_INDETERMINATE = 17
_COLUMNS = (
    *(
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "pe_present_on_image",
        "negative_exam_for_pe",
    ),
    *("qa_motion", "qa_contrast", "flow_artifact", "rv_lv_ratio_gte_1", "rv_lv_ratio_lt_1", "leftsided_pe"),
    *("chronic_pe", "true_filling_defect_not_pe", "rightsided_pe", "acute_and_chronic_pe", "central_pe"),
    "indeterminate",
)


def write_rsna_pe_sample(root: Path) -> None:
    """Write 18 exams of four slices: nine with an embolism, eight without, one indeterminate."""
    rows = []
    for study in sorted(range(_STUDIES), key=lambda number: _name("study", number)):
        slices = sorted(range(_SLICES), key=lambda number: _name("slice", study, number))
        for number in slices:
            _write_slice(root, study, number)
            rows.append(_row(study, number))
    write_table(root / "train.csv", _COLUMNS, rows)


def _shows_embolism(study: int, number: int) -> bool:
    return study < _STUDIES // 2 and number in (1, 2)


def _row(study: int, number: int) -> list[object]:
    sick = study < _STUDIES // 2
    facts = {
        "StudyInstanceUID": _name("study", study),
        "SeriesInstanceUID": _name("series", study),
        "SOPInstanceUID": _name("slice", study, number),
        "pe_present_on_image": int(_shows_embolism(study, number)),
        "negative_exam_for_pe": int(not sick and study != _INDETERMINATE),
        "rv_lv_ratio_lt_1": int(sick),
        "central_pe": int(sick),
        "indeterminate": int(study == _INDETERMINATE),
    }
    return [facts.get(column, 0) for column in _COLUMNS]


def _write_slice(root: Path, study: int, number: int) -> None:
    names = [_name("study", study), _name("series", study), _name("slice", study, number)]
    tags = {
        "StudyInstanceUID": sample_uid(*names[:1]),
        "SeriesInstanceUID": sample_uid(*names[:2]),
        "SOPInstanceUID": sample_uid(*names),
        "PatientID": sample_uid(*names[:1])[-12:],
        "Modality": "CT",
        "InstanceNumber": _SLICES - number,
        "ImagePositionPatient": [-120.0, -120.0, -200.0 + 2.5 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [5.0, 5.0],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    stored = np.clip(_hounsfield(study, number) + 1024, 0, 4095).astype(np.uint16)
    write_dicom(root.joinpath("train", *names).with_suffix(".dcm"), stored, tags)


def _hounsfield(study: int, number: int) -> npt.NDArray[Any]:
    """Return a torso with a bright vessel, and in it, where there is an embolism, a dark clot."""
    values: npt.NDArray[Any] = torso_volume("rsna-pe", study, _SLICES, _SIDE).hounsfield[number].copy()
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE]
    away = np.hypot(rows - 22, columns - 26 - study % 3)
    values[away < 7] = 380
    if _shows_embolism(study, number):
        values[away < 4] = 50
    return values


def _name(*parts: str | int) -> str:
    return f"{seed_from('rsna-pe', *parts) % 16**12:012x}"
