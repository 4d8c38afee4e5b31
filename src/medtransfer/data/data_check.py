"""Everything a person wants to know about a data set before trusting it: counts, oddities, look-alikes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.problems import Problem
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.audit import ExpectedCounts, audit_facts, classes_shown
from medtransfer.data.case_table import SPLITS, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.locators import files_of
from medtransfer.data.near_duplicates import ClosePair, find_near_duplicates
from medtransfer.data.pixel_facts import PixelFacts, pixel_facts

FEW_CASES: Final = 10
"""A class with fewer cases in a split is remarked on."""

_MOST_SHOWN: Final = 12
_PICTURES: Final = frozenset(
    {"", ".bmp", ".dcm", ".gif", ".gz", ".img", ".jpeg", ".jpg", ".nii", ".npy", ".png", ".tif", ".tiff"}
)


@dataclass(frozen=True)
class SplitFacts:
    """What one split holds, or several together where the official numbers are those of their sum."""

    name: str
    """Its name; ``train+val`` for a sum."""
    cases: int
    """Number of cases."""
    patients: int
    """Number of patients or groups."""
    volumes: int | None
    """Number of volumes where cases are slices."""
    classes: Mapping[str, int]
    """Cases that show each class."""
    official: int | None
    """Declared number of cases, where there is one."""
    official_classes: Mapping[str, int]
    """Declared cases of each class; empty where none are declared."""


@dataclass(frozen=True)
class Complaint:
    """Cases that a problem or remark is about, to be looked at."""

    what: str
    """Code of the problem or remark."""
    text: str
    """What is the matter with them."""
    rows: tuple[int, ...]
    """Rows of the case table."""


@dataclass(frozen=True)
class DataCheck:
    """The findings about one data set."""

    cases: CaseTable
    """All cases."""
    splits: tuple[SplitFacts, ...]
    """Facts of the splits that have cases, then of sums that have official numbers."""
    sizes: tuple[tuple[str, int], ...]
    """Image sizes such as ``1024 x 768``, with the number of images, most frequent first."""
    modes: tuple[tuple[str, int], ...]
    """``grey`` and ``colour`` with the number of images."""
    problems: tuple[Problem, ...]
    """What is not as declared; a study stops at these unless it accepts them by name."""
    remarks: tuple[Problem, ...]
    """What a person should look at; no study stops at these."""
    complaints: tuple[Complaint, ...]
    """Cases behind problems and remarks, worst first."""
    pairs: tuple[ClosePair, ...]
    """Near duplicates across splits, most similar first."""
    shown: npt.NDArray[np.bool_]
    """Which class each case shows, shape (N, C)."""

    def as_json(self) -> dict[str, Any]:
        """Return the findings as a JSON object."""
        names = self.cases.frame["case_id"].astype(str).tolist()
        return {
            "ok": not self.problems,
            "problems": [problem.as_json() for problem in self.problems],
            "remarks": [remark.as_json() for remark in self.remarks],
            "counts": {split.name: split.cases for split in self.splits if split.name in SPLITS},
            "splits": [vars(split) | {"classes": dict(split.classes)} for split in self.splits],
            "split_source": self.cases.split_source,
            "sizes": dict(self.sizes),
            "modes": dict(self.modes),
            "near_duplicates": [
                {
                    "first": names[pair.first],
                    "second": names[pair.second],
                    "similarity": round(pair.similarity, 4),
                    "bits": pair.bits,
                    "mirrored": pair.mirrored,
                }
                for pair in self.pairs
            ],
        }


@dataclass(frozen=True)
class CheckOptions:
    """How a data set is checked."""

    cache_folder: Path | None = None
    """Root of the caches; None to remember nothing."""
    workers: int = 1
    """Processes that decode many images."""
    near_duplicates: bool = True
    """Whether to look for images that are nearly the same in two splits."""
    progress: Progress = no_progress
    """Told how far the check is."""


def check_data(cases: CaseTable, expected: ExpectedCounts | None, options: CheckOptions) -> DataCheck:
    """Return the findings about a data set; every image and mask is decoded once.

    Args:
        cases: All cases.
        expected: Official counts, where there are any.
        options: How to check.

    Raises:
        DataError: If a worker process dies or the cache cannot be used.
    """
    facts = pixel_facts(
        cases, cache_folder=options.cache_folder, workers=options.workers, progress=options.progress
    )
    readable = [row for row, entry in enumerate(facts) if entry.pixels is not None and not entry.constant]
    pairs: list[ClosePair] = []
    unconfirmed = 0
    if options.near_duplicates:
        pairs, unconfirmed = find_near_duplicates(
            cases, readable, workers=options.workers, progress=options.progress
        )
    exact = {frozenset((pair.first, pair.second)) for pair in pairs if _equal(facts, pair)}
    near = [pair for pair in pairs if frozenset((pair.first, pair.second)) not in exact]
    splits = tuple(_split_facts(cases, facts, expected))
    return DataCheck(
        cases=cases,
        splits=splits,
        sizes=tuple(Counter(" x ".join(map(str, f.size)) for f in facts if f.size).most_common()),
        modes=tuple(Counter("colour" if f.colour else "grey" for f in facts if f.size).most_common()),
        problems=tuple(audit_facts(cases, facts, expected)),
        remarks=tuple(_remarks(cases, splits, near, unconfirmed, facts)),
        complaints=tuple(_complaints(cases, facts)),
        pairs=tuple(near),
        shown=classes_shown(cases, facts),
    )


def _equal(facts: Sequence[PixelFacts], pair: ClosePair) -> bool:
    return facts[pair.first].pixels == facts[pair.second].pixels


def _split_facts(
    cases: CaseTable, facts: Sequence[PixelFacts], expected: ExpectedCounts | None
) -> Iterator[SplitFacts]:
    shown = classes_shown(cases, facts)
    counts = expected or ExpectedCounts()
    declared, of_classes = counts.variants, counts.classes or {}
    sums = [name for name in (*(key for variant in declared for key in variant), *of_classes) if "+" in name]
    for name in dict.fromkeys((*SPLITS, *sums)):
        rows = np.concatenate([cases.indices(part) for part in name.split("+")])
        if not len(rows):
            continue
        part = cases.frame.iloc[rows]
        official = {variant[name] for variant in declared if name in variant}
        near = min(official, key=lambda number: abs(number - len(rows)), default=None)
        yield SplitFacts(
            name=name,
            cases=len(rows),
            patients=int(part["patient_id"].nunique()),
            volumes=int(part["volume_id"].nunique()) if cases.has_volumes else None,
            classes=dict(zip(cases.classes, shown[rows].sum(axis=0).tolist(), strict=True)),
            official=near,
            official_classes=dict(of_classes.get(name, {})),
        )


def _remarks(
    cases: CaseTable,
    splits: Sequence[SplitFacts],
    near: Sequence[ClosePair],
    unconfirmed: int,
    facts: Sequence[PixelFacts],
) -> Iterator[Problem]:
    if near:
        names = cases.frame["case_id"].astype(str).tolist()
        listed = "; ".join(f"{names[p.first]} ~ {names[p.second]} ({p.similarity:.3f})" for p in near[:5])
        yield Problem(
            "near-duplicates",
            "images of different splits",
            "no images that are nearly the same",
            f"{len(near)} pair{'s' * (len(near) > 1)}: {listed}",
            "Look at them; put the images of one patient into one split.",
        )
    if unconfirmed:
        yield Problem(
            "near-duplicates",
            "images of different splits",
            "few images that look alike",
            f"{unconfirmed} further candidates that were not compared pixel by pixel",
        )
    for split in (split for split in splits if split.name in SPLITS):
        few = [f"{name} ({count})" for name, count in split.classes.items() if 0 < count < FEW_CASES]
        if few:
            yield Problem(
                "few-cases",
                f"{split.name} split",
                f"at least {FEW_CASES} cases of every class",
                ", ".join(few[:8]) + (f" and {len(few) - 8} more" if len(few) > 8 else ""),
                "Read their numbers with their intervals.",
            )
    if not cases.patients_known:
        yield Problem(
            "patients-unknown",
            "patient ids",
            "a patient for every case",
            "none: every case counts as its own patient or group",
            "Name the patients if you can: images of one patient in two splits make scores too high.",
        )
    constant = sum(entry.constant for entry in facts)
    if constant and cases.has_volumes:
        yield Problem(
            "constant-image",
            "slices",
            "few slices without content",
            f"{constant} of {len(facts)} whose pixels are all equal",
            "Usual at the ends of a volume; look at the window if there are many.",
        )
    yield from _unused(cases)
    yield from _repeats(cases, facts)


def _unused(cases: CaseTable) -> Iterator[Problem]:
    """Yield picture files below the folder that no case uses."""
    if not isinstance(cases.source, FileSource) or not cases.source.root.is_dir():
        return
    used = {path for column in ("image", "field_of_view") for path in _paths(cases, column)}
    used |= {path for cell in cases.frame.get("mask", ()) for part in cell for path in files_of(str(part))}
    unused = [
        name
        for name in _files_below(cases.source.root)
        if name not in used
        and Path(name).suffix.lower() in _PICTURES
        and not any(fnmatchcase(Path(name).name, pattern) for pattern in cases.unused)
    ]
    if unused:
        endings = Counter(Path(name).suffix.lower() or "no ending" for name in unused).most_common(4)
        kinds = ", ".join(f"{count} {ending}" for ending, count in endings)
        yield Problem(
            "unused-file",
            "the data folder",
            "picture files that are all used",
            f"{len(unused)} that no case uses ({kinds}), first {sorted(unused)[:5]!r}",
            "Check that nothing is missing from the lists.",
        )


def _paths(cases: CaseTable, column: str) -> Iterator[str]:
    for value in cases.frame.get(column, ()):
        if isinstance(value, str) and value:
            yield from files_of(value)


def _files_below(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield (Path(folder) / name).relative_to(root).as_posix()


def _repeats(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Problem]:
    """Yield images that a split holds more than once, which is no leak but counts a case twice."""
    split = cases.frame["split"].to_numpy()
    seen = Counter(
        (split[row], entry.pixels)
        for row, entry in enumerate(facts)
        if entry.pixels is not None and not entry.constant
    )
    repeats = sum(count - 1 for (_, _), count in seen.items() if count > 1)
    if repeats:
        yield Problem(
            "repeated-image",
            "images within a split",
            "each image once",
            f"{repeats} that repeat another one of their split",
            "Their labels may disagree; remove the copies if they are no separate exams.",
        )


def _complaints(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Complaint]:
    """Yield the cases behind what was seen in single images and masks."""
    column = cases.frame.get("foreground", pd.Series([None] * len(facts), dtype=object))
    wanted = [None if pd.isna(value) else bool(value) for value in column]
    for row, entry in enumerate(facts):
        if entry.constant and cases.has_volumes:
            continue
        for what, text in _faults(entry, wanted[row]):
            yield Complaint(what, text, (row,))
    yield from _exact_pairs(cases, facts)


def _faults(entry: PixelFacts, wanted: bool | None) -> Iterator[tuple[str, str]]:
    if entry.bad_image is not None:
        yield "unreadable-image", entry.bad_image
    if entry.constant:
        yield "constant-image", "all pixels are equal"
    for text in entry.bad_masks:
        yield "unreadable-mask", text
    for text in entry.other_sizes:
        yield "mask-size", text
    if wanted is not None and wanted != bool(entry.class_ids) and not entry.bad_masks:
        yield (
            ("empty-mask", "the label says there is something, the mask is empty")
            if wanted
            else (
                "unexpected-mask",
                "the label says there is nothing, the mask is not empty",
            )
        )


def _exact_pairs(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Complaint]:
    split = cases.frame["split"].to_numpy()
    firsts: dict[str, int] = {}
    for row in np.argsort([SPLITS.index(name) if name in SPLITS else 3 for name in split], kind="stable"):
        pixels = facts[row].pixels
        if pixels is None or facts[row].constant:
            continue
        first = firsts.setdefault(pixels, int(row))
        if first != row and split[first] != split[row]:
            yield Complaint(
                "duplicate-image", f"equal pixels in {split[first]} and {split[row]}", (first, int(row))
            )


def example_rows(check: DataCheck, classes: Sequence[str], most: int = 4) -> dict[str, list[int]]:
    """Return rows of training cases that show each class, spread evenly over all that do.

    Args:
        check: The findings.
        classes: Names of classes.
        most: Rows per class.
    """
    train = check.cases.indices("train")
    found = {}
    for name in classes:
        rows = train[check.shown[train, check.cases.classes.index(name)]]
        places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))
        found[name] = rows[places].tolist()
    return found


def most_shown(complaints: Sequence[Complaint]) -> Iterator[Complaint]:
    """Yield at most a dozen complaints of each kind, in their order."""
    seen: Counter[str] = Counter()
    for complaint in complaints:
        seen[complaint.what] += 1
        if seen[complaint.what] <= _MOST_SHOWN:
            yield complaint
