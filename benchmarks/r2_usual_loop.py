"""R2: what our loop gains over the one every tutorial shows, on the files as they lie on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks import image_work
from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.drawn_pictures import write_pictures
from benchmarks.image_work import BATCH, CPU, MOBILENET, RESNET, VALIDATION, ImageWork
from benchmarks.machine import in_usual_memory, timed
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import DecodedCache, cache_side, open_decoded_cache
from medtransfer.features.embedding import EMBEDDING_BATCH
from medtransfer.models.heads import Classifier
from medtransfer.models.source_model import InputContract
from medtransfer.study.worker_setup import use_one_thread

TRAINING_GOALS = {RESNET: 1.25, MOBILENET: 2.5}
EMBEDDING_GOALS = {RESNET: 2.5, MOBILENET: 4.5}
PICTURES = 96
"""To train on."""
EMBEDDED = 512
"""To embed: as many as our extraction folds batch normalisation for."""
LEAST_COSINE = 0.9
"""Between the two sides' embeddings of a case, about their mean: they resize differently."""

USUAL, OURS = "usual loop", "ours"


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield training and embedding of each network.

    The usual loop decodes and resizes every image in every epoch, in the process itself, since worker
    processes would move its cost, not lower it. Our cache is built before the clock starts; what that
    costs once is among the facts.
    """
    use_one_thread()
    trained = write_pictures(folder / "trained", 4 if quick else PICTURES)
    embedded = write_pictures(folder / "embedded", 4 if quick else EMBEDDED)
    for work in TRAINING_GOALS:
        cache, facts = _timed_cache(work, trained, folder / "cache")
        yield _training(work, trained, cache, folder / "trained", facts)
        cache, facts = _timed_cache(work, embedded, folder / "cache")
        yield _embedding(work, cache, folder / "embedded", facts)


def _timed_cache(work: ImageWork, cases: CaseTable, folder: Path) -> tuple[DecodedCache, dict[str, Any]]:
    """Return the decoded cache, and what building it cost."""
    seconds, cache = timed(partial(open_decoded_cache, cases, cache_side(cases.kind, work.size), folder))
    return cache, {"cases": len(cache), "cache_built_once_s": round(seconds, 3)}


def usual_views(work: ImageWork, contract: InputContract, *, training: bool) -> transforms.Compose:
    """Return the transforms of a tutorial, with the ranges of our training views."""
    normalise = [transforms.ToTensor(), transforms.Normalize(contract.mean, contract.std)]
    if not training:
        side = round(work.size * 8 / 7)
        return transforms.Compose([transforms.Resize(side), transforms.CenterCrop(work.size), *normalise])
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(work.size, scale=(0.5, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(10),
            transforms.ColorJitter(brightness=0.1, contrast=0.1),
            *normalise,
        ]
    )


def _training(
    work: ImageWork, cases: CaseTable, cache: DecodedCache, pictures: Path, facts: Mapping[str, Any]
) -> Contest:
    network = Classifier(work.plain_encoder(), 1, seed=0)
    views = usual_views(work, network.encoder.input, training=True)
    loader = DataLoader(ImageFolder(str(pictures), views), batch_size=BATCH, shuffle=True)
    validation = torch.zeros(VALIDATION, 3, work.size, work.size)
    usual = partial(
        image_work.train_plainly,
        network,
        lambda: loader,
        validation,
        1,
        partial(torch.optim.AdamW, lr=1e-4),
    )
    return Contest(
        f"{work.name} training",
        numerator=Arm(USUAL, partial(in_usual_memory, usual)),
        denominator=Arm(OURS, image_work.train_from_cache(work, cases, cache, 1)),
        goal=Goal(TRAINING_GOALS[work]),
        verify=lambda results: Verdict(results[USUAL] == results[OURS] == len(cache), facts),
    )


def _embedding(work: ImageWork, cache: DecodedCache, pictures: Path, facts: Mapping[str, Any]) -> Contest:
    encoder = work.plain_encoder()
    folder = ImageFolder(str(pictures), usual_views(work, encoder.input, training=False))
    loader = DataLoader(folder, batch_size=EMBEDDING_BATCH)
    order = torch.tensor(_rows_of(folder))

    def usual() -> np.ndarray:
        found = image_work.embed_plainly(encoder, lambda: loader)
        rows = np.empty_like(found)
        rows[order] = found
        return rows

    return Contest(
        f"{work.name} embedding",
        numerator=Arm(USUAL, partial(in_usual_memory, usual)),
        denominator=Arm(OURS, image_work.embed_from_cache(work, cache)),
        goal=Goal(EMBEDDING_GOALS[work]),
        verify=partial(_alike, facts),
    )


def _rows_of(folder: ImageFolder) -> list[int]:
    """Return the case number of each file, in the order in which the folder lists them."""
    return [int(Path(path).stem) for path, _ in folder.samples]


def _alike(facts: Mapping[str, Any], results: Mapping[str, Any]) -> Verdict:
    cosine = float(np.median(_cosines(results[USUAL], results[OURS])))
    return Verdict(cosine >= LEAST_COSINE, {**facts, "median_cosine": round(cosine, 4)})


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    one, other = (torch.from_numpy(each - each.mean(axis=0)).double().to(CPU) for each in (first, second))
    cosines: Tensor = torch.nn.functional.cosine_similarity(one, other)
    return cosines.numpy()
