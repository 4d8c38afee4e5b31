"""R1: how much of the network's own speed is left when its images come from the decoded cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import image_work
from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.drawn_pictures import write_pictures
from benchmarks.image_work import BATCH, MOBILENET, RESNET, VALIDATION, ImageWork
from medtransfer.core.kept_memory import kept_memory
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import DecodedCache, cache_side, open_decoded_cache
from medtransfer.features.embedding import EMBEDDING_BATCH, FOLD_FROM_CASES, FOLDED_CASES
from medtransfer.features.folded_encoder import folded_encoder
from medtransfer.models.channel_products import choose_products
from medtransfer.models.convolution_order import order_convolutions
from medtransfer.study.worker_setup import use_one_thread
from medtransfer.training.optimisers import build_optimiser
from medtransfer.training.product_policy import products_for
from medtransfer.training.recipe import TrainingRecipe

GOALS = {RESNET: 0.97, MOBILENET: 0.93}
PICTURES = 96
"""To train on."""
EMBEDDED = 512
"""To embed: as many as our extraction folds batch normalisation for."""
EPOCHS = 2

IN_MEMORY, OURS = "tensors in memory", "ours"


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield training and embedding of each network.

    Our side is the whole loop of a trial: reading, views, finite checks, validation, best weights. The
    other side is the bare steps over tensors that are there, with the same optimiser, memory format,
    folding of the network and settings of the C library, so that the pipeline alone is left.
    """
    use_one_thread()
    trained = write_pictures(folder / "trained", 4 if quick else PICTURES)
    embedded = write_pictures(folder / "embedded", 4 if quick else EMBEDDED)
    for work, goal in GOALS.items():
        side = cache_side(trained.kind, work.size)
        few, many = (open_decoded_cache(cases, side, folder) for cases in (trained, embedded))
        yield _training(work, trained, few, Goal(goal), epochs=1 if quick else EPOCHS)
        yield _embedding(work, embedded, many, Goal(goal))


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
        numerator=Arm(IN_MEMORY, partial(_in_kept_memory, in_memory)),
        denominator=Arm(OURS, image_work.train_from_cache(work, cases, cache, epochs)),
        goal=goal,
        verify=partial(_same_cases, epochs * len(cache)),
    )


def _embedding(work: ImageWork, cases: CaseTable, cache: DecodedCache, goal: Goal) -> Contest:
    batches = image_work.centre_batches(work, cases, cache, EMBEDDING_BATCH)
    encoder = work.encoder().eval()

    def in_memory() -> Any:
        network = encoder
        if len(cache) >= FOLD_FROM_CASES:
            first = next(iter(batches()))[0][:FOLDED_CASES]
            network = folded_encoder(encoder, first)
            order_convolutions(network, lambda: network(first[:1]))
            choose_products(network, products_for(image_work.CPU))
        return image_work.embed_plainly(network, batches)

    return Contest(
        f"{work.name} embedding",
        numerator=Arm(IN_MEMORY, partial(_in_kept_memory, in_memory)),
        denominator=Arm(OURS, image_work.embed_from_cache(work, cache)),
        goal=goal,
        verify=_same_embeddings,
    )


def _in_kept_memory(work: Callable[[], Any]) -> Any:
    with kept_memory(huge_pages=False):  # as ours has it for so few passes
        return work()


def _same_cases(expected: int, results: Mapping[str, Any]) -> Verdict:
    return Verdict(results[IN_MEMORY] == results[OURS] == expected, {"cases": expected})


def _same_embeddings(results: Mapping[str, Any]) -> Verdict:
    difference = float(np.abs(results[IN_MEMORY] - results[OURS]).max())
    return Verdict(difference <= 1e-3, {"largest_difference": difference})
