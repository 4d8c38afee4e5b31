"""A synthetic copy of CheXpert in its official layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from medtransfer.core.seeds import generator
from medtransfer.tasks.chexpert import CLASSES
from medtransfer.tasks.sample_chests import chest_with_findings, drawn_findings
from medtransfer.tasks.sample_files import write_picture, write_table

_ABOUT: Final = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
_VERSION: Final = "CheXpert-v1.0/"
_FIRST_PATIENT: Final = {"train": 1, "valid": 64_541, "test": 64_741}
_PATIENTS: Final = {"train": 42, "valid": 5, "test": 5}
_UNCERTAIN: Final = 0.08
_BLANK: Final = 0.6


def write_chexpert_sample(root: Path) -> None:
    """Write 64 training images of 42 patients, and 8 images of 5 patients each for validation and test.

    Training labels are ``1.0``, ``0.0``, ``-1.0`` and blank. Of four patients, one has a frontal and a
    lateral view of one study and one has two studies. The label file of the test set has no columns
    about the patient, and its paths do not begin with the version.
    """
    for part in ("train", "valid"):
        write_table(root / f"{part}.csv", ("Path", *_ABOUT, *CLASSES), _write_images(root, part))
    rows = [
        (path.removeprefix(_VERSION), *cells[len(_ABOUT) :]) for path, *cells in _write_images(root, "test")
    ]
    write_table(root / "test_labels.csv", ("Path", *CLASSES), rows)


def _write_images(root: Path, part: str) -> Iterator[Sequence[str]]:
    """Write the images of one label file and return its rows."""
    studies = _studies(part)
    findings = drawn_findings(f"chexpert-{part}", len(studies), len(CLASSES) - 1, healthy_every=3, share=0.8)
    rng = generator("sample-labels", "chexpert-labels", part)
    for (patient, study, sides), found in zip(studies, findings, strict=True):
        shown = {finding + 1 for finding in found} or {0}  # the first class is that there is none
        cells = [_cell(part, number in shown, rng.random()) for number in range(len(CLASSES))]
        for view, side in enumerate(sides, start=1):
            name = f"{part}/patient{patient:05d}/study{study}/view{view}_{side}.jpg"
            write_picture(root / name, chest_with_findings("chexpert", patient, 10 * study + view, shown))
            about = ("Female", "61", side.capitalize(), "AP" if side == "frontal" else "")
            yield (_VERSION + name, *about, *cells)


def _studies(part: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return patient, number and views of each study."""
    studies: list[tuple[int, int, tuple[str, ...]]] = []
    for number in range(_PATIENTS[part]):
        patient = _FIRST_PATIENT[part] + number
        studies.append((patient, 1, ("frontal", "lateral") if number % 4 == 0 else ("frontal",)))
        if number % 4 == 1:
            studies.append((patient, 2, ("frontal",)))
    return studies


def _cell(part: str, present: bool, draw: float) -> str:
    """Return how a label is written; only mined labels are uncertain or blank."""
    if part == "train" and draw < _UNCERTAIN:
        return "-1.0"
    if present:
        return "1.0"
    return "" if part == "train" and draw < _BLANK else "0.0"
