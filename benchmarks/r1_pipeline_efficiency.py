"""R1: how much of the network's own speed is left when its images come from the decoded cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import image_work
from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.drawn_pictures import write_pictures
from benchmarks.image_work import BATCH, MOBILENET, RESNET, VALIDATION, ImageWork
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import DecodedCache, cache_side, open_decoded_cache
from medtransfer.features.embedding import EMBEDDING_BATCH
from medtransfer.study.worker_setup import use_one_thread
from medtransfer.training.optimisers import build_optimiser
from medtransfer.training.recipe import TrainingRecipe

GOALS = {RESNET: 0.97, MOBILENET: 0.93}
PICTURES = 96
EPOCHS = 2

IN_MEMORY, OURS = "tensors in memory", "ours"


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield training and embedding of each network.

    Our side is the whole loop of a trial: reading, views, finite checks, validation, best weights. The
    other side is the bare steps with the same optimiser and memory format over tensors that are there.
    """
    use_one_thread()
    cases = write_pictures(folder / "pictures", 4 if quick else PICTURES)
    for work, goal in GOALS.items():
        cache = open_decoded_cache(cases, cache_side(cases.kind, work.size), folder)
        yield _training(work, cases, cache, Goal(goal), epochs=1 if quick else EPOCHS)
        yield _embedding(work, cases, cache, Goal(goal))


def _training(work: ImageWork, cases: CaseTable, cache: DecodedCache, goal: Goal, *, epochs: int) -> Contest:
    network = work.classifier()
    batches = image_work.centre_batches(work, cases, cache, BATCH)
    validation = next(iter(batches()))[0][:VALIDATION]
    recipe = TrainingRecipe(learning_rate=1e-4)
    in_memory = partial(
        image_work.train_plainly,
        network,
        batches,
        validation,
        epochs,
        lambda _: build_optimiser(network, recipe),
    )
    return Contest(
        f"{work.name} training",
        numerator=Arm(IN_MEMORY, in_memory),
        denominator=Arm(OURS, image_work.train_from_cache(work, cases, cache, epochs)),
        goal=goal,
        verify=partial(_same_cases, epochs * len(cache)),
    )


def _embedding(work: ImageWork, cases: CaseTable, cache: DecodedCache, goal: Goal) -> Contest:
    batches = image_work.centre_batches(work, cases, cache, EMBEDDING_BATCH)
    return Contest(
        f"{work.name} embedding",
        numerator=Arm(IN_MEMORY, partial(image_work.embed_plainly, work.encoder(), batches)),
        denominator=Arm(OURS, image_work.embed_from_cache(work, cache)),
        goal=goal,
        verify=_same_embeddings,
    )


def _same_cases(expected: int, results: Mapping[str, Any]) -> Verdict:
    return Verdict(results[IN_MEMORY] == results[OURS] == expected, {"cases": expected})


def _same_embeddings(results: Mapping[str, Any]) -> Verdict:
    difference = float(np.abs(results[IN_MEMORY] - results[OURS]).max())
    return Verdict(difference <= 1e-3, {"largest_difference": difference})
