"""Synthetic copies of HAM10000, ISIC 2018 task 3 and ISIC 2019: drawn pictures with the tables of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medtransfer.tasks.sample_files import write_lines, write_picture, write_table
from medtransfer.tasks.sample_pictures import class_picture

_DIAGNOSES: Final = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_ISIC2018: Final = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_ISIC2019: Final = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
_CLASS_NUMBERS: Final = {name: number for number, name in enumerate((*_DIAGNOSES, "scc", "ak"))}
_IMAGES_PER_LESION: Final = (1, 2, 1, 3)
_TRAINING_IMAGES: Final = 20
_TEST_IMAGES: Final = 4


@dataclass(frozen=True)
class _Photograph:
    """One image of a sample."""

    image: str
    lesion: str
    diagnosis: str
    number: int


def write_ham10000_sample(root: Path) -> None:
    """Write 140 photographs of seven classes in two parts, with their table.

    Args:
        root: Folder to write into.
    """
    rows = []
    for photograph in sorted(_photographs(_DIAGNOSES, _TRAINING_IMAGES), key=lambda one: one.lesion):
        part = 1 + photograph.number % 2
        _write(root / f"HAM10000_images_part_{part}", photograph)
        age = "" if photograph.number % 17 == 3 else f"{30 + photograph.number % 11 * 5}.0"
        sex = ("male", "female", "unknown")[photograph.number % 3]
        rows.append((photograph.lesion, photograph.image, photograph.diagnosis, "histo", age, sex, "back"))
    header = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
    write_table(root / "HAM10000_metadata.csv", header, rows)


def write_isic2018_sample(root: Path) -> None:
    """Write 140 training and 28 test photographs of seven classes, with their tables.

    Args:
        root: Folder to write into.
    """
    train = list(_photographs(_DIAGNOSES, _TRAINING_IMAGES))
    test = list(_photographs(_DIAGNOSES, _TEST_IMAGES, first=34_524))
    for part, photographs in (("Training", train), ("Test", test)):
        folder = root / f"ISIC2018_Task3_{part}_Input"
        for photograph in photographs:
            _write(folder, photograph)
        write_lines(folder / "ATTRIBUTION.txt", ["Generated pictures."])
        name = f"ISIC2018_Task3_{part}_GroundTruth"
        _write_one_hot(root / name / f"{name}.csv", photographs, _ISIC2018)
    groupings = [(one.image, one.lesion, "histopathology") for one in train]
    write_table(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        ("image", "lesion_id", "diagnosis_confirm_type"),
        groupings,
    )


def write_isic2019_sample(root: Path) -> None:
    """Write 160 photographs of eight classes, some of them without a lesion id, with their tables.

    Args:
        root: Folder to write into.
    """
    photographs = [
        _Photograph(
            f"{one.image}_downsampled" if one.number % 5 == 1 else one.image,
            "" if one.number % 9 == 4 else one.lesion.replace("HAM", ("HAM", "BCN")[one.number % 2]),
            {"akiec": "ak"}.get(one.diagnosis, one.diagnosis),
            one.number,
        )
        for one in _photographs((*_DIAGNOSES, "scc"), _TRAINING_IMAGES)
    ]
    for photograph in photographs:
        _write(root / "ISIC_2019_Training_Input", photograph)
    write_lines(root / "ISIC_2019_Training_Input" / "LICENSE.txt", ["Generated pictures."])
    _write_one_hot(root / "ISIC_2019_Training_GroundTruth.csv", photographs, _ISIC2019)
    rows = [
        (
            one.image,
            f"{30 + one.number % 11 * 5}.0",
            ("anterior torso", "")[one.number % 2],
            one.lesion,
            "female",
        )
        for one in photographs
    ]
    header = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    write_table(root / "ISIC_2019_Training_Metadata.csv", header, rows)


def _photographs(diagnoses: tuple[str, ...], per_class: int, first: int = 24_306) -> Iterator[_Photograph]:
    """Yield as many images of each diagnosis, in turn, of lesions with one to three images."""
    turns = range(per_class)
    lesions = [turn for turn in turns for _ in range(_IMAGES_PER_LESION[turn % len(_IMAGES_PER_LESION)])]
    for turn in turns:
        for column, diagnosis in enumerate(diagnoses):
            number = turn * len(diagnoses) + column
            lesion = f"HAM_{lesions[turn] * len(diagnoses) + column:07}"
            yield _Photograph(f"ISIC_{first + number:07}", lesion, diagnosis, first + number)


def _write(folder: Path, photograph: _Photograph) -> None:
    pixels = class_picture("skin", _CLASS_NUMBERS[photograph.diagnosis], photograph.number, 64)[8:56]
    write_picture(folder / f"{photograph.image}.jpg", pixels)


def _write_one_hot(path: Path, photographs: list[_Photograph], columns: tuple[str, ...]) -> None:
    rows = [
        (one.image, *(f"{float(one.diagnosis.upper() == column)}" for column in columns))
        for one in photographs
    ]
    write_table(path, ("image", *columns), rows)
