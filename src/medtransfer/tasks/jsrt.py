"""JSRT films with the masks of SCR: heart, clavicles and lungs in chest X-rays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.locators import raw_locator
from medtransfer.data.splits import hold_out
from medtransfer.tasks.image_names import image_names
from medtransfer.tasks.samples_of_jsrt import write_jsrt_sample
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

STRUCTURES: Final = {
    "heart": ("heart",),
    "clavicle": ("left clavicle", "right clavicle"),
    "lung": ("left lung", "right lung"),
}
"""What is marked, and the mask folders whose union marks it."""

_IMAGE_FOLDERS: Final = ("All247images", "images", ".")
_FOLDS: Final = ("fold1/masks", "fold2/masks", "scratch/fold1/masks", "scratch/fold2/masks")
_IMAGE: Final = re.compile(r"(JPC(?:LN|NN)\d{3})\.IMG(\.png)?")
_MASK: Final = re.compile(r"(JPC(?:LN|NN)\d{3})\.gif")
_VALIDATION_SHARE: Final = 0.1


@dataclass(frozen=True)
class JSRTSource:
    """Reads the films at the size of their masks; picklable."""

    files: FileSource
    """Reads the files as they are stored."""
    mask_side: int
    """Side of the masks in pixels; films of twice that side are averaged down, two by two pixels."""

    def read_image(self, locator: str) -> UInt8Array:
        """Return the film, shape (S, S), uint8, air dark.

        Raises:
            BadImageError: If the file is missing, damaged or outside the folder.
        """
        image = self.files.read_image(locator)
        side = self.mask_side
        if image.shape[:2] != (2 * side, 2 * side):
            return image
        blocks = image.astype(np.uint16).reshape(side, 2, side, 2, *image.shape[2:])
        return np.asarray((blocks.sum(axis=(1, 3), dtype=np.uint16) + 2) // 4, dtype=np.uint8)

    def read_mask(self, locator: str) -> UInt8Array:
        """Return a mask, shape (S, S), uint8, 1 inside.

        Raises:
            BadImageError: As for films.
        """
        return self.files.read_mask(locator)

    def content_hash(self, locator: str) -> str:
        """Return a digest of the file and of the size it is brought to."""
        return hash_json([self.files.content_hash(locator), self.mask_side])

    def describe(self, locator: str) -> str:
        """Return the path below the folder."""
        return self.files.describe(locator)


def open_jsrt(root: Path, structure: str) -> CaseTable:
    """Return the case table of the films and the masks of one structure.

    Args:
        root: Folder with the films, as they are or below ``All247images`` or ``images``, and the
            ``fold1`` and ``fold2`` of SCR, as they are or below ``scratch``.
        structure: What is marked, out of :data:`STRUCTURES`.

    Raises:
        DataError: If there are no films, a file has another name, or a mask is missing or there twice.
    """
    subject = f"task 'jsrt-{structure}'"
    films = _films(subject, root)
    masks = [_masks(subject, root, folder) for folder in STRUCTURES[structure]]
    for folder, found in zip(STRUCTURES[structure], masks, strict=True):
        refuse(subject, folder, "a mask for every film", [repr(film) for film in films if film not in found])
        refuse(
            subject,
            folder,
            "masks of films that are there",
            [repr(film) for film in found if film not in films],
        )
    frame = pd.DataFrame({"case_id": list(films), "patient_id": list(films)})
    frame["split"] = _split(list(films))
    frame["image"] = list(films.values())
    frame["mask"] = [tuple(found[film] for found in masks) for film in films]
    files = FileSource(root)
    side = files.read_mask(frame["mask"].iloc[0][0]).shape[0]
    return CaseTable(
        frame, TaskKind.SEGMENTATION, (structure,), JSRTSource(files, side), split_source="official"
    )


def _films(subject: str, root: Path) -> dict[str, str]:
    """Return the locator of each film, by its name, in order; raw files before converted ones."""
    folder = next(name for name in _IMAGE_FOLDERS if (root / name).is_dir() or name == ".")
    films: dict[str, str] = {}
    for name, match in image_names(subject, root, folder, _IMAGE, "JPCLN001.IMG").items():
        path = name if folder == "." else f"{folder}/{name}"
        films.setdefault(match.group(1), path if match.group(2) else raw_locator(path))
    return films


def _masks(subject: str, root: Path, structure: str) -> dict[str, str]:
    """Return the mask of each film, wherever its fold is."""
    folders = [f"{fold}/{structure}" for fold in _FOLDS if (root / fold / structure).is_dir()]
    if not folders:
        raise DataError(
            f"{subject}: expected masks in {_FOLDS[0]}/{structure} and {_FOLDS[1]}/{structure} of {root}, got "
            "no such folder. Unpack the masks of SCR there."
        )
    found: dict[str, str] = {}
    twice = []
    for folder in folders:
        for name, match in image_names(subject, root, folder, _MASK, "JPCLN001.gif").items():
            if match.group(1) in found:
                twice.append(f"{found[match.group(1)]} and {folder}/{name}")
            found[match.group(1)] = f"{folder}/{name}"
    refuse(subject, structure, "each mask in one fold", twice)
    return found


def _split(films: list[str]) -> list[str]:
    """Return train and validation for odd numbers, test for even ones."""
    parts = ["train" if int(film[-3:]) % 2 else "test" for film in films]
    kinds = [film[:5] for film in films]
    seed = seed_from("split", "jsrt")
    drawn: list[str] = hold_out(parts, films, kinds, share=_VALIDATION_SHARE, seed=seed).tolist()
    return drawn


_PAGE: Final = TaskPage(
    about=(
        "247 chest X-rays of the Japanese Society of Radiological Technology, 154 with a lung nodule "
        "(JPCLN) and 93 without (JPCNN), 2048 x 2048 pixels of 12 bits. The SCR data base marks heart, "
        "both clavicles and both lungs in each; every structure is a task of its own."
    ),
    access=(
        "Ask for the films with the form of JSRT, and for the masks at the SCR page; both are free for "
        "research and must not be passed on."
    ),
    layout=(
        "JPCLN001.IMG ... JPCLN154.IMG        films; here, or below All247images/ or images/\n"
        "JPCNN001.IMG ... JPCNN093.IMG        films; converted ones, JPCLN001.IMG.png, are read too\n"
        "fold1/masks/heart/JPCLN001.gif       odd numbers; here, or below scratch/\n"
        "fold1/masks/left clavicle/           likewise right clavicle/, left lung/, right lung/\n"
        "fold2/masks/heart/JPCLN002.gif       even numbers, same folders"
    ),
    split=(
        "The convention of SCR: films of odd number, 124, are for training and those of even number, 123, "
        "for the test. Every tenth of the odd ones (13) is held out for validation, drawn with a fixed "
        "seed and stratified by nodule; the three tasks share this split. Each film shows another patient."
    ),
    traps=(
        (
            "Films are raw big-endian numbers without a header in which air is bright; they are inverted, "
            "so that lungs are dark as in other X-rays. A file of another byte order is refused."
        ),
        (
            "Masks have half the side of the films, 1024 pixels. Films are averaged down two by two pixels "
            "to that size, so that no mask is enlarged."
        ),
        "Where a film is there both raw and converted, the raw one is used.",
        "The masks of left and right are separate files: their union is the structure.",
        "Some studies divide the films 173 / 25 / 49; their scores are on other films.",
    ),
)

_TITLES: Final = {"heart": "The heart", "clavicle": "Both clavicles", "lung": "Both lungs"}

jsrt_tasks: tuple[TargetTask, ...] = tuple(
    TargetTask(
        name=f"jsrt-{structure}",
        revision=1,
        title=f"{_TITLES[structure]} in chest X-rays of JSRT",
        kind=TaskKind.SEGMENTATION,
        classes=(structure,),
        metrics=("dice", "dice-pooled"),
        open=partial(open_jsrt, structure=structure),
        folders=("jsrt", "JSRT"),
        licence="free for research after registration, for films and masks alike",
        citation=(
            "Shiraishi et al., Development of a digital image database for chest radiographs with and "
            "without a lung nodule, AJR 174(1), 2000; van Ginneken et al., Segmentation of anatomical "
            "structures in chest radiographs using supervised methods, Medical Image Analysis 10(1), 2006"
        ),
        url="https://www.isi.uu.nl/Research/Databases/SCR/",
        expected=ExpectedCounts(variants=({"train": 111, "val": 13, "test": 123},)),
        image_sets=("jsrt",),
        caution="Validation is a tenth of the training films, drawn here with a fixed seed.",
        page=_PAGE,
        family="jsrt",
        write_sample=write_jsrt_sample,
    )
    for structure in STRUCTURES
)
"""One task per structure, with one split."""
