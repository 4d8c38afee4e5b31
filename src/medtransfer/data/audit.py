"""What must be true of a case table before a trial may use it, and what was found instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.problems import Problem
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import SPLITS, CaseTable
from medtransfer.data.pixel_facts import PixelFacts, pixel_facts

_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class ExpectedCounts:
    """The official numbers of a data set, checked before any trial."""

    variants: tuple[Mapping[str, int], ...] = ()
    """Cases per split, or per sum of splits such as ``train+val``; any one of these mappings is right.
    Empty: nothing is declared."""
    classes: Mapping[str, Mapping[str, int]] | None = None
    """Split, or sum of splits, to class name to number of cases of that class; only what is named is
    checked."""


def audit_cases(
    cases: CaseTable,
    *,
    expected: ExpectedCounts | None = None,
    cache_folder: Path | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> list[Problem]:
    """Check counts, splits, patients and labels, and decode every image and mask once.

    A mask without any foreground is right. What was seen in the pixels is remembered below
    ``cache_folder/audits`` until a file, a locator or a row changes.

    Args:
        cases: Table to check.
        expected: Official counts, where there are any.
        cache_folder: Root of the caches; None to remember nothing.
        workers: Processes that decode when there are 256 cases or more.
        progress: Told how far the decoding is.

    Returns:
        One problem per code and split or pair of splits, after those found on opening:
        ``unexpected-count``, ``empty-split``, ``unexpected-split``, ``patient-overlap``,
        ``similar-patients``, ``unexpected-label``, ``class-absent``, ``unreadable-image``,
        ``constant-image``, ``unreadable-mask``, ``mask-size``, ``empty-mask``, ``unexpected-mask``,
        ``duplicate-image``. A constant image is no problem where cases are slices of volumes.

    Raises:
        DataError: If a worker process dies.
    """
    facts = pixel_facts(cases, cache_folder=cache_folder, workers=workers, progress=progress)
    return audit_facts(cases, facts, expected)


def audit_facts(
    cases: CaseTable, facts: Sequence[PixelFacts], expected: ExpectedCounts | None = None
) -> list[Problem]:
    """Return the problems of :func:`audit_cases` from what was seen in the pixels, in row order."""
    return [
        *cases.opening_problems,
        *_count_problems(cases, expected or ExpectedCounts(), facts),
        *_split_problems(cases.frame["split"]),
        *_patient_problems(cases),
        *_label_problems(cases, facts),
        *_pixel_problems(cases, facts),
        *_contradictions(cases, facts),
        *_duplicate_problems(cases, facts),
    ]


def _count_problems(
    cases: CaseTable, expected: ExpectedCounts, facts: Sequence[PixelFacts]
) -> Iterator[Problem]:
    found = _SplitCounts({str(split): int(n) for split, n in cases.frame["split"].value_counts().items()})
    nearest = min(expected.variants, key=lambda variant: _miss(variant, found), default={})
    for split in nearest:
        if found[split] != nearest[split]:
            official = sorted({variant[split] for variant in expected.variants if split in variant})
            yield Problem(
                "unexpected-count",
                f"{split} split",
                f"{' or '.join(map(str, official))} cases",
                f"{found[split]}",
                "Complete the download, or accept the difference by name.",
            )
    shown = classes_shown(cases, facts)
    for split, classes in (expected.classes or {}).items():
        rows = np.concatenate([cases.indices(part) for part in split.split("+")])
        present = dict(zip(cases.classes, shown[rows].sum(axis=0).tolist(), strict=True))
        wrong = [f"{present.get(name, 0)} {name}" for name, n in classes.items() if present.get(name, 0) != n]
        declared = [f"{n} {name}" for name, n in classes.items() if present.get(name, 0) != n]
        if wrong:
            where = f"{split} split, cases per class"
            yield Problem(
                "unexpected-count", where, ", ".join(declared), ", ".join(wrong), "Check the label file."
            )


class _SplitCounts(dict[str, int]):
    """Cases by split, and by sums of splits such as ``train+val``."""

    def __missing__(self, splits: str) -> int:
        return sum(self.get(split, 0) for split in splits.split("+"))


def _miss(variant: Mapping[str, int], found: Mapping[str, int]) -> int:
    return sum(abs(number - found[split]) for split, number in variant.items())


def _split_problems(split: pd.Series) -> Iterator[Problem]:
    for name in SPLITS:
        if not (split == name).any():
            yield Problem(
                "empty-split",
                f"{name} split",
                "at least one case",
                "none",
                "Check the split list or folders.",
            )
    others = sorted({str(name) for name in split if name not in SPLITS})
    if others:
        number = int((~split.isin(SPLITS)).sum())
        yield Problem(
            "unexpected-split",
            f"{number} cases",
            f"a split among {list(SPLITS)!r}",
            _named(map(repr, others)),
        )


def _patient_problems(cases: CaseTable) -> Iterator[Problem]:
    advice = "A patient's cases must stay in one split: correct the split."
    exact = cases.frame["patient_id"].astype(str)
    for one, two, left, right in _split_pairs(cases, exact):
        shared = sorted(left.keys() & right.keys())
        if shared:
            found = f"{len(shared)} in both: {_named(shared)}"
            yield Problem("patient-overlap", f"{one} and {two} splits", "no patient in both", found, advice)
    for one, two, left, right in _split_pairs(cases, exact.map(_normalised)):
        alike = [(left[key], right[key]) for key in sorted(left.keys() & right.keys())]
        named = [f"{exact[a]!r} and {exact[b]!r}" for a, b in alike if exact[a] != exact[b]]
        if named and cases.patients_known:
            found = f"ids that may mean one patient: {_named(named)}"
            yield Problem(
                "similar-patients", f"{one} and {two} splits", "ids that differ clearly", found, advice
            )


def _split_pairs(
    cases: CaseTable, keys: pd.Series
) -> Iterator[tuple[str, str, dict[Any, int], dict[Any, int]]]:
    """Yield each pair of splits with, for both, the first row number of every key."""
    firsts = {}
    for split in SPLITS:
        rows = cases.indices(split)[::-1].tolist()
        firsts[split] = {key: row for row, key in zip(rows, keys.iloc[rows], strict=True) if key is not None}
    for one, two in combinations(SPLITS, 2):
        yield one, two, firsts[one], firsts[two]


def _normalised(patient_id: str) -> str:
    """Return the id without case, outer blanks and leading zeros: `` P01`` and ``p1`` become one."""
    return re.sub(r"^([^\W\d]*)0+(?=\d+$)", r"\1", patient_id.strip().casefold())


def _label_problems(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Problem]:
    shown = classes_shown(cases, facts)
    wrong = _undeclared(cases, facts)
    for split in SPLITS:
        rows = cases.indices(split)
        if wrong[rows].any():
            names = cases.frame["case_id"].iloc[rows[wrong[rows]]].astype(str)
            found = f"other values in {len(names)} cases: {_named(names)}"
            declared = f"labels of the {len(cases.classes)} declared classes"
            yield Problem(
                "unexpected-label", f"{split} split", declared, found, "Correct the label file or masks."
            )
        absent = [cases.classes[c] for c in np.flatnonzero(~shown[rows].any(axis=0))]
        if len(rows) and absent:
            advice = "Draw the split again, or leave the class out."
            yield Problem(
                "class-absent", f"{split} split", "cases of every class", f"none of {_named(absent)}", advice
            )


def classes_shown(cases: CaseTable, facts: Sequence[PixelFacts]) -> npt.NDArray[np.bool_]:
    """Return which class each case shows by its label or its mask, shape (N, C)."""
    ids = np.arange(len(cases.classes))
    if cases.kind is TaskKind.SEGMENTATION:
        return np.array([[k + 1 in entry.class_ids for k in ids] for entry in facts], dtype=np.bool_)
    labels: npt.NDArray[Any] = cases.labels()
    return labels > 0.5 if cases.kind is TaskKind.MULTI_LABEL else labels[:, None] == ids


def _undeclared(cases: CaseTable, facts: Sequence[PixelFacts]) -> npt.NDArray[np.bool_]:
    """Return which cases have a label or mask value that no class has, shape (N,)."""
    if cases.kind is TaskKind.SEGMENTATION:
        highest = [max(entry.class_ids, default=0) for entry in facts]
        return np.array(highest, dtype=np.int64) > len(cases.classes)
    labels: npt.NDArray[Any] = cases.labels()
    if cases.kind is TaskKind.MULTI_LABEL:
        soft = (cases.frame["split"] == "train").to_numpy()[:, None] & (labels > 0) & (labels < 1)
        return np.asarray(~(np.isin(labels, (0, 1)) | np.isnan(labels) | soft).all(axis=1))
    return np.asarray((labels < 0) | (labels >= len(cases.classes)))


def _pixel_problems(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Problem]:
    names = [cases.source.describe(str(locator)) for locator in cases.frame["image"]]
    for split in SPLITS:
        where = f"{split} split"
        seen = [(names[row], facts[row]) for row in cases.indices(split)]
        bad = [entry.bad_image.rstrip(".") for _, entry in seen if entry.bad_image is not None]
        # the first and last slices of a volume may well be black
        constant = [name for name, entry in seen if entry.constant and not cases.has_volumes]
        bad_masks = [reason.rstrip(".") for _, entry in seen for reason in entry.bad_masks]
        other_sizes = [text for _, entry in seen for text in entry.other_sizes]
        for what, expected, listed, advice in (
            ("unreadable-image", "images that can be read", bad, "Replace or remove them."),
            ("constant-image", "images with content", constant, "Replace or remove them."),
            (
                "unreadable-mask",
                "masks that can be read",
                bad_masks,
                "Replace them, or correct their values.",
            ),
            ("mask-size", "masks of their image's size", other_sizes, "Match each mask with its own image."),
        ):
            if listed:
                yield Problem(what, where, expected, f"{len(listed)}: {_named(listed, '; ')}", advice)


def _contradictions(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Problem]:
    """Yield masks that say another thing than the label of their image."""
    if "foreground" not in cases.frame.columns:
        return
    column = cases.frame["foreground"]
    known, wanted = column.notna().to_numpy(), column.eq(True).to_numpy()  # noqa: FBT003 - a value
    shown = np.array([bool(entry.class_ids) or bool(entry.bad_masks) for entry in facts])
    names = cases.frame["case_id"].astype(str).to_numpy()
    for what, rows, expected in (
        ("empty-mask", known & wanted & ~shown, "foreground where the label says there is some"),
        ("unexpected-mask", known & ~wanted & shown, "an empty mask where the label says there is none"),
    ):
        if rows.any():
            found = f"{int(rows.sum())} that disagree: {_named(names[rows])}"
            yield Problem(what, "masks", expected, found, "Correct the label or the mask.")


def _duplicate_problems(cases: CaseTable, facts: Sequence[PixelFacts]) -> Iterator[Problem]:
    pixels = pd.Series([None if entry.constant else entry.pixels for entry in facts], dtype=object)
    locators = cases.frame["image"].astype(str)
    for one, two, left, right in _split_pairs(cases, pixels):
        shared = sorted((left[key], right[key]) for key in left.keys() & right.keys())
        if shared:
            describe = cases.source.describe
            pairs = [f"{describe(locators[a])} = {describe(locators[b])}" for a, b in shared]
            yield Problem(
                "duplicate-image",
                f"{one} and {two} splits",
                "no image in both",
                f"{len(pairs)} with equal pixels: {_named(pairs)}",
                "Remove one of each pair, or accept the overlap by name.",
            )


def _named(names: Iterable[str], separator: str = ", ") -> str:
    """Return up to five names and the number of others."""
    listed = list(names)
    more = len(listed) - _MOST_NAMED
    return separator.join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
