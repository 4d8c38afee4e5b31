"""CT body region: which of six regions a slice shows, from the headers of any tree of DICOM files."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.problems import Problem
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.dicom_headers import DicomHeader, dicom_errors, read_dicom_header
from medtransfer.data.dicom_series import dicom_files
from medtransfer.data.file_source import FileSource
from medtransfer.data.inside_root import path_inside
from medtransfer.data.intensity import WINDOWS
from medtransfer.data.locators import slice_locator
from medtransfer.data.splits import draw_split
from medtransfer.tasks.body_region_terms import REGIONS, TERMS, WHOLE_BODY
from medtransfer.tasks.tables import refuse
from medtransfer.tasks.target_task import TargetTask, TaskPage

NAME: Final = "ct-body-region"
SHARES: Final = {"train": 0.6, "val": 0.2, "test": 0.2}
"""Shares of the slices; a tree may be small, so that validation and test get more than elsewhere."""

_SUBJECT = f"task {NAME!r}"
_MOST_TEXTS = 100
_WORD = re.compile(r"[^\W\d_]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _plain(text: str) -> str:
    """Return the words of a text in lower case with one blank between, ä as ae, ö as oe, ü as ue, ß as ss."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_UMLAUTS)
    return " ".join(_WORD.findall(folded))


_TERMS: Final = tuple(frozenset(_plain(term) for term in terms) for terms in TERMS)
_WHOLE_BODY: Final = tuple(_plain(phrase) for phrase in WHOLE_BODY)


def body_region(text: str) -> int | None:
    """Return the region a text such as BodyPartExamined names, by whole words in English or German.

    Args:
        text: Free text; case, digits, punctuation and the spelling of umlauts do not count.

    Returns:
        Class number, of several regions the first in label order; None where no word is known or the
        text speaks of the whole body.

    Example:
        >>> body_region("CT_Abdomen/Pelvis"), body_region("HALSWIRBELSAEULE"), body_region("Dünndarm")
        (2, 5, 2)
        >>> body_region("ORTHO") is None, body_region("Whole body, head first") is None
        (True, True)
    """
    plain = _plain(text)
    if any(f" {phrase} " in f" {plain} " for phrase in _WHOLE_BODY):
        return None
    words = set(plain.split())
    return next((number for number, terms in enumerate(_TERMS) if words & terms), None)


def open_ct_body_region(root: Path) -> CaseTable:
    """Return the case table of all CT slices below a folder whose header names a known region.

    Args:
        root: Folder with DICOM files in any arrangement; only headers are read.

    Raises:
        DataError: If no CT slice is left, one has no PatientID or SeriesInstanceUID, a series mixes
            patients, or a CT file is damaged.
    """
    sorting = _Sorting(root)
    for file in dicom_files(root):
        sorting.add(file)
    if not sorting.rows:
        raise DataError(
            f"{_SUBJECT}: expected CT slices in DICOM files whose BodyPartExamined names a region in {root}, "
            f"got none ({sorting.table() or 'no DICOM file'}). Check the folder."
        )
    refuse(_SUBJECT, "headers", "PatientID and SeriesInstanceUID in every CT file", sorting.nameless)
    frame = pd.DataFrame(sorting.rows)
    drawn = draw_split(
        frame["patient_id"].tolist(), frame["label"].tolist(), SHARES, seed=seed_from("split", NAME)
    )
    return CaseTable(
        frame=frame.assign(split=drawn).sort_values("case_id", ignore_index=True),
        kind=TaskKind.MULTI_CLASS,
        classes=REGIONS,
        source=FileSource(root, intensity=WINDOWS["soft-tissue"]),
        split_source="ours",
        opening_problems=sorting.problems(),
    )


@dataclass
class _Sorting:
    """Files sorted into cases and what is left out."""

    root: Path
    rows: list[dict[str, object]] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    modalities: Counter[str] = field(default_factory=Counter)

    def add(self, file: str) -> None:
        """Sort one DICOM file."""
        header = _header_or_modality(self.root, file)
        if isinstance(header, str) or header.modality.upper() != "CT":
            self.modalities[header if isinstance(header, str) else header.modality] += 1
            return
        label = body_region(header.body_part)
        if label is None:
            self.texts[header.body_part] += 1
            return
        if not (header.patient_id and header.series_uid):
            self.nameless.append(file)
        facts = {"patient_id": header.patient_id, "volume_id": header.series_uid, "label": label}
        if header.frames == 1:
            self.rows.append({"case_id": file, "image": file} | facts)
            return
        for frame in range(header.frames):
            self.rows.append({"case_id": f"{file}#{frame:04}", "image": slice_locator(file, frame)} | facts)

    def table(self) -> str:
        """Return what is left out: every text and every modality with the number of files."""
        parts = [
            f"{name} {_listed(counts)}"
            for name, counts in (("BodyPartExamined", self.texts), ("Modality", self.modalities))
            if counts
        ]
        return "; ".join(parts)

    def problems(self) -> tuple[Problem, ...]:
        """Return one problem for all files left out; nothing when there are none."""
        number = self.texts.total() + self.modalities.total()
        if not number:
            return ()
        return (
            Problem(
                what="dropped-rows",
                where="headers",
                expected="CT files whose BodyPartExamined names one of the six regions",
                found=f"{number} other files: {self.table()}",
                next_step="Correct the headers, or accept that these files are left out.",
            ),
        )


def _listed(counts: Counter[str]) -> str:
    """Return texts with numbers, the most frequent first, equal ones by text."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{text!r} {number}" for text, number in ordered[:_MOST_TEXTS]]
    rest = ordered[_MOST_TEXTS:]
    more = [f"and {len(rest)} more in {sum(number for _, number in rest)} files"] if rest else []
    return ", ".join(named + more)


def _header_or_modality(root: Path, file: str) -> DicomHeader | str:
    """Return the header of an image, or the modality of a file without one, such as a report.

    Raises:
        BadImageError: If the file is damaged or says that it is CT.
    """
    try:
        return read_dicom_header(root, file)
    except BadImageError:
        modality = _modality(root, file)
        if modality in {"", "CT"}:
            raise
        return modality


def _modality(root: Path, file: str) -> str:
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pydicom.dcmread(
                path_inside(root, file), stop_before_pixels=True, specific_tags=["Modality"]
            )
            return str(found.get("Modality") or "").strip().upper()
    except dicom_errors():
        return ""


def _write_sample(root: Path) -> None:
    from medtransfer.tasks.samples_of_ct_body_region import write_ct_body_region_sample

    write_ct_body_region_sample(root)


ct_body_region = TargetTask(
    name=NAME,
    revision=1,
    title="Region of the body in CT slices",
    kind=TaskKind.MULTI_CLASS,
    classes=REGIONS,
    metrics=("accuracy", "balanced-accuracy", "auc"),
    open=open_ct_body_region,
    folders=("ct-body-region",),
    licence="that of your own images",
    citation="your own images; the six regions are those of arXiv:2306.17555, 2023, whose data set is private",
    url="https://arxiv.org/abs/2306.17555",
    image_sets=("own:ct-body-region",),
    caution=(
        "Labels are words in the header (BodyPartExamined), not what a reader saw: a scan's slices all bear the "
        "region that was ordered, also where it reaches into the next one."
    ),
    page=TaskPage(
        about=(
            "Any tree of DICOM files from your own archive. A case is a CT slice, shown with level 40 and width "
            "400 HU; its class is the region that BodyPartExamined (0018,0015) names: head and neck, thorax, "
            "abdomen, extremity, pelvis, spine. These are the classes of RadNet, a private collection of a German "
            "hospital, so that its models can be tried on similar images of your own."
        ),
        access="None: these are your own images. Pseudonymise PatientID, but keep one per patient.",
        layout=(
            "ct-body-region/\n"
            "  any folders with DICOM files, whatever their names; other files and DICOMDIR are not read"
        ),
        split=(
            "60 % train, 20 % val, 20 % test of the slices, drawn by PatientID with a fixed seed and balanced by "
            "region. A series belongs to one patient, so no scan is cut either."
        ),
        traps=(
            (
                "RadNet's labels come from parts of words, with false hits: ORTHO holds THO, ABDUCTION holds ABD, "
                "JAWS holds WS, Darm (bowel) holds arm, Halswirbelsäule (cervical spine) holds Hals. Here words "
                "are compared as a whole, in English and German, with umlauts or ae, oe, ue, in any case."
            ),
            "Where a text names several regions, the first in the order above counts: ABDOMEN/PELVIS is abdomen.",
            "Single words cannot tell everything: FEMORAL NECK counts as neck. Look at the table of texts.",
            (
                "Files of other modalities, reports, texts without a known word, empty texts and those of the whole "
                "body are left out and reported with their numbers."
            ),
            "Localisers are CT files too and become cases; remove them from the tree where they disturb.",
        ),
    ),
    write_sample=_write_sample,
)
