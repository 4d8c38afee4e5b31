"""What a reader must know of single published numbers: known conflicts, and cells known to be wrong."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from medtransfer.reports.published.names import RERUN
from medtransfer.reports.published.records import Flag, MeasuredRun, PublishedResult


@dataclass(frozen=True)
class Conflict:
    """Numbers for the same thing that do not agree; shown together, never resolved, never averaged."""

    key: str
    """Short name."""
    about: str
    """What disagrees, in one sentence."""
    doubtful: bool = True
    """Whether the numbers ought to be equal; false where a difference is explained."""


CONFLICTS: Final = {
    conflict.key: conflict
    for conflict in (
        Conflict(
            "dxc5-imagenet",
            "CheXpert from ImageNet: study A's table prints 87.10 ± 0.36, DiRA of the same group 87.17 ± 0.22, "
            "and the baseline drawn in study A's figure lies at DiRA's level.",
        ),
        Conflict(
            "dxc5-scratch-spread",
            "CheXpert from scratch: study A's table prints a spread of 0.17, the bar in its figure shows "
            "about 0.45.",
        ),
        Conflict(
            "dxc5-scratch-level",
            "CheXpert from scratch: study A prints 86.60 ± 0.17, DiRA of the same group 86.62 ± 0.15.",
        ),
        Conflict(
            "lxs-chestxray14",
            "Montgomery lung from supervised ChestX-ray14: study A prints 98.18 ± 0.06, DiRA 98.16 ± 0.05.",
        ),
        Conflict(
            "txc-imagenet-chestxray14",
            "Shenzhen from ImageNet and then ChestX-ray14: study A prints 98.47 ± 0.26, study B draws about "
            "98.00 ± 0.76.",
        ),
        Conflict(
            "dxc5-imagenet-chestxray14",
            "CheXpert from ImageNet and then ChestX-ray14: study A prints 87.09 ± 0.44, study B draws about "
            "87.54 ± 0.46.",
        ),
        Conflict(
            "pxs-imagenet",
            "Pneumothorax from ImageNet: study A prints 67.93 ± 1.45, one figure of study B draws about 67.6.",
        ),
        Conflict(
            "shenzhen-swin-scratch",
            "Shenzhen with Swin-B from scratch: two tables of one paper print 92.52 ± 4.98 and 83.92 ± 1.19.",
        ),
        Conflict(
            "shenzhen-swin-simmim",
            "Shenzhen with Swin-B from ImageNet SimMIM: two tables of one paper print 94.12 ± 0.96 and "
            "93.63 ± 1.80.",
        ),
        Conflict(
            "rerun-chestxray14-scratch",
            "ChestX-ray14 from scratch: study A prints 80.31 ± 0.10, an independent rerun with a shorter "
            "schedule 75.68 ± 0.43.",
            doubtful=False,
        ),
        Conflict(
            "rerun-chestxray14-imagenet",
            "ChestX-ray14 from ImageNet: study A prints 81.70 ± 0.15, an independent rerun with a shorter "
            "schedule 80.63 ± 0.08.",
            doubtful=False,
        ),
    )
}
"""All known conflicts by key."""

REMARKS: Final[Mapping[str, str]] = {
    "runs-unstated": "The paper does not print the number of runs; its shading fits two-sided tests with five.",
    "wider-bar": "The error bar drawn here is wider than the printed spread.",
    "crossing-lines": "Lines cross here, so the reading may belong to a neighbour.",
    "hidden-line": "The line lies under that of ResNet-50, so the reading may be its value.",
    "hidden-dot": "The dot lies on the baseline, so the reading is less certain.",
    "backbone-unverified": "The paper does not name the network here; the bars agree with the earlier paper's.",
    "size-assumed": "The paper does not name the size of the networks here; base is assumed.",
    "neighbours-conflict": "Two neighbouring cells differ from another table of the same paper.",
    "shorter-schedule": "Somebody else's rerun of study A's code with a shorter schedule.",
    "population-spread": "The spread divides by n, not by n - 1.",
}
"""Remarks of the data files by key."""
DOUBTFUL_REMARKS: Final = frozenset({"crossing-lines", "hidden-line", "hidden-dot", "neighbours-conflict"})

_WRONG_FRACTION: Final = (
    "Declared as a reduced training set, trained on all data: another branch of the code came first."
)
_STUDY_C_TASKS: Final[Mapping[str, str]] = {
    "CX8M": _WRONG_FRACTION,
    "CX8S": _WRONG_FRACTION,
    "RXS": "All models lie near one low accuracy, below that of a ten times smaller subset: the subset's "
    "classes are suspect.",
    "LiTSS": "Single runs of these cells collapsed: their lesion or liver Dice is far below the others.",
}
_ELEVEN: Final = "Run 1 of this cell used seed 11 where the others used seed 1."


@cache
def conflict_members() -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of conflicts by (source, table, task, initialization, architecture)."""
    file = files("medtransfer.reports.published").joinpath("data/known-conflicts.csv")
    members: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key, *place in list(csv.reader(file.read_text("utf-8").splitlines()))[1:]:
        members[tuple(place)] = (*members.get(tuple(place), ()), key)
    return members


def flag_result(result: PublishedResult) -> PublishedResult:
    """Return a result with what is known of it: conflicts, reruns, differences."""
    r = result
    keys = conflict_members().get((r.source, r.table, r.task, r.initialization, r.architecture), ())
    flags: set[Flag] = set(r.flags)
    if any(CONFLICTS[key].doubtful for key in keys):
        flags.add("doubtful")
    if r.source == RERUN:
        flags.add("rerun")
    note = " ".join(filter(None, [r.note, *(CONFLICTS[key].about for key in keys)]))
    return replace(r, flags=frozenset(flags), note=note, conflicts=keys)


def flag_runs(runs: Sequence[MeasuredRun]) -> tuple[MeasuredRun, ...]:
    """Return study C's runs with what is known of them, in the same order."""
    copies = _copies(runs)
    return tuple(_flag_run(run, copies.get(_identity(run), "")) for run in runs)


def _flag_run(run: MeasuredRun, copy_of: str) -> MeasuredRun:
    doubts = [_STUDY_C_TASKS.get(run.task.removesuffix("_lineval"), "")]
    if copy_of:
        doubts.append(f"All values equal those of {copy_of}: one of the two is a copy.")
    doubts = [doubt for doubt in doubts if doubt]
    remarks = list(doubts)
    if (run.experiment, run.initialization, run.task, run.run) == ("E1", "RF", "LiTS", 1):
        remarks.append(_ELEVEN)
    flags: frozenset[Flag] = run.flags | {"doubtful"} if doubts else run.flags
    return replace(run, flags=flags, note=" ".join(filter(None, [run.note, *remarks])))


def _identity(run: MeasuredRun) -> tuple[str, str, str, int]:
    return run.experiment, run.initialization, run.task, run.run


def _copies(runs: Sequence[MeasuredRun]) -> Mapping[tuple[str, str, str, int], str]:
    """Return, for runs whose two or more metrics all equal those of another run, what that one is called."""
    metrics: dict[tuple[str, str, str, int], dict[str, float]] = {}
    for run in runs:
        metrics.setdefault(_identity(run), {})[run.metric] = run.value
    alike: dict[frozenset[tuple[str, float]], list[tuple[str, str, str, int]]] = {}
    for identity, values in metrics.items():
        if len(values) > 1:
            alike.setdefault(frozenset(values.items()), []).append(identity)
    return {
        identity: ", ".join(_name(other) for other in group if other != identity)
        for group in alike.values()
        if len(group) > 1
        for identity in group
    }


def _name(identity: tuple[str, str, str, int]) -> str:
    experiment, initialization, task, run = identity
    return f"{experiment} {initialization} on {task}, run {run}"
