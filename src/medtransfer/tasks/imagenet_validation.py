"""What the 50,000 ImageNet validation images show, where they lie in one folder: the two label files there are."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.tasks.tables import read_table, refuse

SOLUTION: Final = "LOC_val_solution.csv"
"""Label file of the Kaggle archive: image and class with boxes."""
GROUND_TRUTH: Final = "ILSVRC2012_validation_ground_truth.txt"
"""Label file of the development kit: a number per image."""

_FOLDERS: Final = ("", "ILSVRC2012_devkit_t12/data/")
_MAX_BYTES: Final = 1 << 24
_BOX_NUMBERS: Final = 4
_MAT_ERRORS: Final = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, zlib.error),
)
"""What scipy raises on damaged MATLAB files."""


def labelled_validation_images(
    subject: str, root: Path, images: Sequence[str], classes: Sequence[str], all_classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the validation images of each wanted class.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        images: All validation images, as paths below it.
        classes: Classes wanted.
        all_classes: Classes there are.

    Returns:
        Sorted paths by class.

    Raises:
        DataError: If no label file is there, an image has another name or no label, a wanted image is
            missing, or a label is no class.
    """
    where, labels = _labels(subject, root, frozenset(all_classes))
    by_stem = {Path(image).stem: image for image in images}
    strange = [repr(image) for stem, image in by_stem.items() if stem not in labels]
    refuse(subject, where, "a label for every image in val", strange)
    found: dict[str, list[str]] = {wnid: [] for wnid in classes}
    missing = []
    for stem, wnid in labels.items():
        if wnid in found and stem not in by_stem:
            missing.append(repr(stem))
        elif wnid in found:
            found[wnid].append(by_stem[stem])
    refuse(subject, where, "only images that are in val", missing)
    return {wnid: sorted(paths) for wnid, paths in found.items()}


def _labels(subject: str, root: Path, known: frozenset[str]) -> tuple[str, dict[str, str]]:
    """Return the label file that is there, and the class of each image by its stem."""
    if (root / SOLUTION).is_file():
        return SOLUTION, _read_solution(subject, root, known)
    for folder in _FOLDERS:
        if (root / folder / GROUND_TRUTH).is_file():
            return folder + GROUND_TRUTH, _read_ground_truth(subject, root, folder, known)
    raise DataError(
        f"{subject}: expected {SOLUTION} or {_FOLDERS[1]}{GROUND_TRUTH} in {root}, got neither. Add one of them, or "
        "sort the validation images into a folder per class."
    )


def _read_solution(subject: str, root: Path, known: frozenset[str]) -> dict[str, str]:
    """Return labels from cells such as ``n01978287 240 170 260 240``: one class with all its boxes."""
    rows = read_table(subject, root, SOLUTION, ("ImageId", "PredictionString"), only=True)
    labels: dict[str, str] = {}
    faults = []
    for line, image, cell in zip(rows.index, rows["ImageId"], rows["PredictionString"], strict=True):
        named = set(cell.split()[:: 1 + _BOX_NUMBERS])
        wnid = named.pop() if len(named) == 1 else ""
        if wnid not in known or labels.get(image, wnid) != wnid:
            faults.append(f"line {line}: {image!r} {cell!r}")
        labels[image] = wnid
    refuse(subject, SOLUTION, "one class of ImageNet-1k for every image", faults)
    return labels


def _read_ground_truth(subject: str, root: Path, folder: str, known: frozenset[str]) -> dict[str, str]:
    """Return labels from one number per line, in the order of the images."""
    numbers = _class_numbers(subject, root, f"{folder}meta.mat", known)
    text = (root / folder / GROUND_TRUTH).read_text(encoding="utf-8", errors="replace")
    cells = [cell.strip() for cell in text.splitlines() if cell.strip()]
    faults = [f"line {line}: {cell!r}" for line, cell in enumerate(cells, 1) if cell not in numbers]
    refuse(subject, folder + GROUND_TRUTH, "a class number from meta.mat in every line", faults)
    return {f"ILSVRC2012_val_{line:08}": numbers[cell] for line, cell in enumerate(cells, 1)}


def _class_numbers(subject: str, root: Path, name: str, known: frozenset[str]) -> Mapping[str, str]:
    """Return the class of each number of the development kit, the numbers as text."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = root / name
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise DataError(
            f"{subject}: expected the file {name}, which says what the numbers in {GROUND_TRUTH} mean, got none. "
            "Take it from the development kit."
        )
    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        numbers = {str(number): str(wnid) for number, wnid in pairs if wnid in known}
    except (*_MAT_ERRORS, MatReadError) as error:
        raise DataError(f"{subject}: {name}: expected the class table of ImageNet, got {error}.") from error
    if set(numbers.values()) != known:
        raise DataError(
            f"{subject}: {name}: expected numbers for {len(known)} classes, got {len(numbers)}. "
            "Take it from the development kit again."
        )
    return numbers
