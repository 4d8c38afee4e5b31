"""Target tasks and pretraining sets whose images are generated: the demo and the tests need no download."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from medtransfer.core.seeds import generator, seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.data.phantom_findings import CARDIOMEGALY, FINDINGS
from medtransfer.data.phantom_photographs import motifs
from medtransfer.data.phantoms import PhantomSource, chest_locator, photograph_locator
from medtransfer.data.splits import draw_split
from medtransfer.tasks.target_task import TargetTask

PHOTOGRAPHIC_SET: Final = "phantom-photographic"
"""Image set of :func:`photographic_cases`."""
CHEST_PRETRAINING_SET: Final = "phantom-chest-pretraining"
"""Image set of :func:`chest_pretraining_cases`; shares no patient with any target task."""

_TARGET_SHARES: Final = MappingProxyType({"train": 0.40, "val": 0.15, "test": 0.45})
_TARGET_CASES: Final = 640
_PRETRAINING_SHARES: Final = MappingProxyType({"train": 0.9, "val": 0.1})
_SECOND_EXAM: Final = 0.25

_FINDINGS_SHOWN: Final = ("nodule", "effusion", "consolidation", CARDIOMEGALY)
_BYSTANDERS: Final = MappingProxyType({"pneumothorax": 0.08, "interstitial": 0.12, "tube": 0.15})
_MANY_FINDINGS: Final = MappingProxyType(dict.fromkeys(_FINDINGS_SHOWN, 0.3) | dict(_BYSTANDERS))
_NODULES: Final = MappingProxyType(
    {"nodule": 0.45, "effusion": 0.1, "consolidation": 0.1, CARDIOMEGALY: 0.15} | dict(_BYSTANDERS)
)


def photographic_cases(count: int = 2000) -> CaseTable:
    """Return the photographic source domain: ten classes of coloured motifs in equal numbers.

    Args:
        count: Number of pictures; they are its own patients, 90 % training and 10 % validation.
    """
    classes = tuple(motifs)
    numbers, labels = zip(*(divmod(case, len(classes)) for case in range(count)), strict=True)
    pairs = [(classes[label], number) for number, label in zip(numbers, labels, strict=True)]
    ids = [f"{motif}-{number:05d}" for motif, number in pairs]
    frame = pd.DataFrame({"case_id": ids, "patient_id": ids, "label": labels})
    frame["image"] = [photograph_locator("source", motif, number) for motif, number in pairs]
    frame["split"] = draw_split(ids, labels, _PRETRAINING_SHARES, seed=seed_from("split", PHOTOGRAPHIC_SET))
    return CaseTable(frame, TaskKind.MULTI_CLASS, classes, PhantomSource(), "ours")


def chest_pretraining_cases(count: int = 2000) -> CaseTable:
    """Return the medical source domain: chests with seven findings, four of them the target tasks'.

    Args:
        count: Number of pictures, 90 % training and 10 % validation, by patient.
    """
    exams = _draw_exams("pretraining", count, dict.fromkeys(FINDINGS, 0.3))
    return _multi_label(exams, FINDINGS, _PRETRAINING_SHARES, CHEST_PRETRAINING_SET)


def _open_findings(_root: Path) -> CaseTable:
    exams = _draw_exams("findings", _TARGET_CASES, _MANY_FINDINGS)
    return _multi_label(exams, _FINDINGS_SHOWN, _TARGET_SHARES, "phantom-findings")


def _open_nodule(_root: Path) -> CaseTable:
    frame = _draw_exams("nodule", _TARGET_CASES, _NODULES)
    frame["label"] = [int("nodule" in findings) for findings in frame.pop("findings")]
    split = draw_split(
        frame["patient_id"].to_numpy(),
        frame["label"].to_numpy(),
        _TARGET_SHARES,
        seed=seed_from("split", "phantom-nodule"),
    )
    return CaseTable(
        frame.assign(split=split), TaskKind.BINARY, ("no nodule", "nodule"), PhantomSource(), "ours"
    )


def _open_lungs(_root: Path) -> CaseTable:
    frame = _draw_exams("lungs", _TARGET_CASES, _MANY_FINDINGS).drop(columns="findings")
    frame["mask"] = [(locator,) for locator in frame["image"]]
    split = draw_split(
        frame["patient_id"].to_numpy(), None, _TARGET_SHARES, seed=seed_from("split", "phantom-lungs")
    )
    return CaseTable(frame.assign(split=split), TaskKind.SEGMENTATION, ("lung",), PhantomSource(), "ours")


def _multi_label(
    exams: pd.DataFrame, classes: tuple[str, ...], shares: Mapping[str, float], name: str
) -> CaseTable:
    present = exams.pop("findings")
    for finding in classes:
        exams[LABEL_PREFIX + finding] = [int(finding in findings) for findings in present]
    labels = exams[[LABEL_PREFIX + finding for finding in classes]].to_numpy()
    split = draw_split(exams["patient_id"].to_numpy(), labels, shares, seed=seed_from("split", name))
    return CaseTable(exams.assign(split=split), TaskKind.MULTI_LABEL, classes, PhantomSource(), "ours")


def _draw_exams(series: str, count: int, prevalence: Mapping[str, float]) -> pd.DataFrame:
    """Return ``count`` exams of as many patients as that takes: ids, locators and the set of findings.

    A quarter of the patients have two exams. A large heart belongs to the patient, every other
    finding to the exam.
    """
    rows: list[dict[str, Any]] = []
    patient = 0
    while len(rows) < count:
        rng = generator("phantom-patient", series, patient)
        large_heart = rng.random() < prevalence[CARDIOMEGALY]
        for view in range(1 + int(rng.random() < _SECOND_EXAM)):
            drawn = {name for name in FINDINGS if rng.random() < prevalence[name]} - {CARDIOMEGALY}
            findings = drawn | {CARDIOMEGALY} if large_heart else drawn
            rows.append(
                {
                    "case_id": f"p{patient:04d}-{view}",
                    "patient_id": f"p{patient:04d}",
                    "image": chest_locator(series, patient, view, findings),
                    "findings": findings,
                }
            )
        patient += 1
    return pd.DataFrame(rows[:count])


_phantom = partial(
    TargetTask,
    revision=1,
    folders=(),
    licence="generated by medtransfer, Apache-2.0",
    citation="medtransfer phantoms",
    phantom=True,
    caution="Phantom result: the images are generated and say nothing about patients.",
)

phantom_tasks: tuple[TargetTask, ...] = (
    _phantom(
        name="phantom-findings",
        title="Four findings in chest-like phantoms",
        kind=TaskKind.MULTI_LABEL,
        classes=_FINDINGS_SHOWN,
        metrics=("auc",),
        open=_open_findings,
        expected=ExpectedCounts(({"train": 257, "val": 96, "test": 287},)),
        image_sets=("phantom-chest-findings",),
    ),
    _phantom(
        name="phantom-nodule",
        title="Nodule or none in chest-like phantoms",
        kind=TaskKind.BINARY,
        classes=("no nodule", "nodule"),
        metrics=("auc", "balanced-accuracy"),
        open=_open_nodule,
        expected=ExpectedCounts(({"train": 256, "val": 96, "test": 288},)),
        image_sets=("phantom-chest-nodule",),
    ),
    _phantom(
        name="phantom-lungs",
        title="Lungs of chest-like phantoms",
        kind=TaskKind.SEGMENTATION,
        classes=("lung",),
        metrics=("dice", "dice-pooled"),
        open=_open_lungs,
        expected=ExpectedCounts(({"train": 256, "val": 96, "test": 288},)),
        image_sets=("phantom-chest-lungs",),
    ),
)
"""The target tasks of the demo."""
