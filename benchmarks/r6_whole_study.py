"""R6: a whole study of frozen features, from files to a report, against a plain script that does the same."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import medtransfer as mt
from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.drawn_chests import FINDINGS, DrawnChests, draw_chests
from benchmarks.machine import in_usual_memory
from benchmarks.plain_study import PlainStudy
from medtransfer.study.worker_setup import use_one_thread
from medtransfer.transferability.logme import logme

MODELS = ("mobilenetv3_small_100.random", "resnet18.random")
"""The networks of R1 and R2; random weights cost the same as trained ones."""
SIZE = 128
"""Side of the images the networks see, in pixels."""
FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
SEEDS = 5
DRAWS = 2000
"""Draws of test patients per interval, as in our report."""
TRAIN, VAL, TEST = 600, 200, 200
GOAL = 8.0
LARGEST_AUC_DIFFERENCE = 0.01
"""Between the two sides' AUC on all labels; they resize images differently."""
LARGEST_SUBSET_DIFFERENCE = 0.02
"""Between the two sides' mean AUC over the seeds of a smaller label fraction; they draw different subsets."""
LEAST_AUC = 0.65
"""Below it the findings would not be seen, and equal AUC values would say nothing."""

PLAIN, OURS, OPENVINO = "plain script", "ours", "ours with the engine openvino"


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield the one contest; caches, store and report are made inside the measurement."""
    use_one_thread()
    chests = draw_chests(folder / "images", *((100, 60, 60) if quick else (TRAIN, VAL, TEST)))
    plain = PlainStudy(chests, MODELS, SIZE, FRACTIONS, 2 if quick else SEEDS, 20 if quick else DRAWS)
    numbers = itertools.count()

    def ours(**settings: Any) -> OurCells:
        return run_ours(plain, folder / f"ours-{next(numbers)}", **settings)

    yield Contest(
        f"{len(MODELS)} models @{SIZE}, {len(FINDINGS)} findings, {len(chests.table):,} images",
        numerator=Arm(PLAIN, partial(in_usual_memory, partial(plain.run, folder / "plain"))),
        denominator=Arm(OURS, ours),
        also=(Arm(OPENVINO, partial(ours, engine="openvino")),),
        goal=Goal(GOAL),
        verify=partial(verdict, loose=quick),
        warm_up=False,
    )


@dataclass(frozen=True)
class OurCells:
    """What our study found."""

    auc: Mapping[tuple[str, float], float]
    """Mean AUC over the seeds on test, by model and label fraction."""
    logme: tuple[float, ...]
    """LogME of each model's features, ascending."""


def run_ours(study: PlainStudy, folder: Path, **settings: Any) -> OurCells:
    """Run the study with a store and caches of its own, write its report, and return what it found.

    Args:
        study: The study.
        folder: Made, and removed at the end.
        settings: More settings of the protocol ``linear``.
    """
    declared = mt.Study(
        "whole",
        tasks=[{"chests": declaration(study.chests)}],
        models=list(study.models),
        protocols=[{"linear": {"image_size": study.size, **settings}}],
        label_fractions=list(study.fractions),
        seeds=study.seeds,
    )
    run = mt.run(declared, store=folder / "store", cache=folder / "cache")
    with mt.Store.open(str(folder / "store"), create=False) as store:
        mt.write_report(store, "whole", folder / "report")
    means = run.table().groupby(["model", "label_fraction"])["test.best.auc"].mean()
    scores = _logme_of_cached_features(study.chests, folder / "cache")
    shutil.rmtree(folder)
    return OurCells(
        {(str(model), float(fraction)): float(value) for (model, fraction), value in means.items()}, scores
    )


def declaration(chests: DrawnChests) -> dict[str, Any]:
    """Return the drawn chests as own data of a study."""
    return {
        "kind": "multi-label",
        "root": str(chests.root),
        "manifest": "labels.csv",
        "columns": {"image": "image", "patient": "patient", "label": list(FINDINGS), "split": "split"},
    }


def verdict(results: Mapping[str, Any], *, loose: bool = False) -> Verdict:
    """Return whether both found the findings about equally well, and what the plain script spent where.

    Args:
        results: Of both arms.
        loose: Whether to accept any AUC, because there were too few images.
    """
    plain, ours = results[PLAIN], results[OURS]
    theirs = {(cell.model, cell.fraction): cell.auc for cell in plain.cells}
    if set(theirs) != set(ours.auc):
        return Verdict(equal=False, facts={"cells": {PLAIN: len(theirs), OURS: len(ours.auc)}})
    on_all, on_fewer = (
        {cell: abs(auc - ours.auc[cell]) for cell, auc in theirs.items() if (cell[1] == 1) is whole}
        for whole in (True, False)
    )
    full = {model: (theirs[model, 1.0], ours.auc[model, 1.0]) for model, _ in on_all}
    facts = {
        "largest_auc_difference": round(max(on_all.values()), 4),
        "largest_auc_difference_of_subsets": round(max(on_fewer.values(), default=0.0), 4),
        "auc": {model: {PLAIN: round(one, 3), OURS: round(two, 3)} for model, (one, two) in full.items()},
        "plain_seconds": {stage: round(seconds, 2) for stage, seconds in plain.seconds.items()},
    }
    equal = (
        facts["largest_auc_difference"] <= LARGEST_AUC_DIFFERENCE
        and facts["largest_auc_difference_of_subsets"] <= LARGEST_SUBSET_DIFFERENCE
        and min(min(pair) for pair in full.values()) >= LEAST_AUC
    )
    return Verdict(loose or equal, facts)


def _logme_of_cached_features(chests: DrawnChests, cache: Path) -> tuple[float, ...]:
    """Return LogME of the features the study has left in its cache."""
    train, labels = chests.rows("train"), chests.labels()
    found = [np.load(path)[train] for path in (cache / "features").glob("*.embeddings.npy")]
    return tuple(sorted(logme(features, labels[train]).value for features in found))
