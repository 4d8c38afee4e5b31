"""A synthetic copy of MIMIC-CXR-JPG in its official layout."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from medtransfer.core.seeds import generator
from medtransfer.tasks.mimic_cxr import CLASSES
from medtransfer.tasks.sample_chests import chest_with_findings, drawn_findings
from medtransfer.tasks.sample_files import write_picture

_STUDIES: Final = {"train": 36, "validate": 10, "test": 10}
_FIRST_SUBJECT: Final = {"train": 10_000_032, "validate": 12_000_051, "test": 19_000_077}
_NONE: Final = CLASSES.index("No Finding")
_UNCERTAIN: Final = 0.08
_BLANK: Final = 0.8


def write_mimic_cxr_sample(root: Path) -> None:
    """Write about 70 images of 56 studies; each fourth study has two images, each second subject two studies."""
    labels: list[Sequence[object]] = []
    images: list[Sequence[object]] = []
    rng = generator("sample-labels", "mimic-cxr")
    for split, studies in _STUDIES.items():
        findings = drawn_findings(f"mimic-cxr-{split}", studies, len(CLASSES) - 1, healthy_every=3, share=0.7)
        for number, found in enumerate(findings):
            subject = _FIRST_SUBJECT[split] + 10 * (number * 2 // 3)
            study = 50_000_000 + len(labels)
            shown = {finding + (finding >= _NONE) for finding in found} or {_NONE}
            labels.append((subject, study, *(_cell(k in shown, rng.random()) for k in range(len(CLASSES)))))
            for view in range(2 if number % 4 == 0 else 1):
                dicom = _dicom_id(study, view)
                path = root / f"files/p{str(subject)[:2]}/p{subject}/s{study}/{dicom}.jpg"
                write_picture(path, chest_with_findings("mimic-cxr", subject, 10 * study + view, shown))
                images.append((dicom, study, subject, split))
    _write_packed(root / "mimic-cxr-2.0.0-chexpert.csv.gz", ("subject_id", "study_id", *CLASSES), labels)
    _write_packed(
        root / "mimic-cxr-2.0.0-split.csv.gz", ("dicom_id", "study_id", "subject_id", "split"), images
    )


def _cell(present: bool, draw: float) -> str:
    if draw < _UNCERTAIN:
        return "-1.0"
    if present:
        return "1.0"
    return "" if draw < _BLANK else "0.0"


def _dicom_id(study: int, view: int) -> str:
    digits = hashlib.sha256(f"mimic-cxr {study} {view}".encode()).hexdigest()[:40]
    return "-".join(digits[start : start + 8] for start in range(0, 40, 8))


def _write_packed(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a packed CSV file whose bytes do not depend on the time of day."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
