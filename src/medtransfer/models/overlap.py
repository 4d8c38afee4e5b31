"""Whether a source model has seen the images of a target task; decides which results mean transfer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

OverlapStatus = Literal["clean", "same", "source", "unknown"]

OWN_PREFIX = "own:"
"""Start of the identifier every task on the user's own images carries."""
PHANTOM_PREFIX = "phantom"
"""Start of the identifiers of generated image sets."""
UNLABELLED = ":unlabelled"
"""End of the identifier of a collection whose images were seen without its labels."""

NATURAL = frozenset(
    {
        *("imagenet-1k", "imagenet-21k", "imagenet-22k", "cifar10", "cifar100", "coco", "places365"),
        *("inat2021", "inat2021-mini", "lvd-142m"),
    }
)
"""Photographs of everyday scenes and nature: they share no image with any medical collection."""

CRAWLED = frozenset({"wit-400m", "laion-2b", "lvd-1689m", "merged-2b", "webli"})
"""Crawls of the web: any image that was ever public may be among them."""

CHEST_XRAY = frozenset(
    {
        *("brax", "chestmnist", "chestx-ray8", "chestxray14", "chexpert", "jsrt", "kermany-pediatric-cxr"),
        *("mimic-cxr", "montgomery-cxr", "openi", "padchest", "pneumoniamnist", "pneumothorax-segmentation"),
        *("rsna-pneumonia", "shenzhen-cxr", "vindr-cxr", "xray-926k"),
    }
)
"""Collections of chest radiographs."""

MEDICAL = frozenset(
    {
        *("bbbc051", "bloodmnist", "brats2020", "brax", "breastmnist", "busi", "chestmnist", "chestx-ray8"),
        *(
            "chestxray14",
            "chexpert",
            "covid-ct",
            "deepdrid",
            "dermamnist",
            "drive",
            "ham10000",
            "hippocampus-mr",
        ),
        *("isic2018", "isic2019", "jsrt", "kermany-oct", "kermany-pediatric-cxr", "lits", "mimic-cxr"),
        *("montgomery-cxr", "nct-crc-he-100k", "octmnist", "organamnist", "organcmnist", "organsmnist"),
        *("padchest", "pathmnist", "pbc-blood-cells", "pneumoniamnist", "pneumothorax-segmentation"),
        *(
            "mass-100k",
            "mass-350k",
            "medsiglip-mix",
            "msk-1488k",
            "msk-3134k",
            "openi",
            "pmc-15m",
            "radimagenet",
            "radnet-12m",
            "radnet-1m",
            "retinamnist",
            "rsna-pe",
            "rsna-pneumonia",
            "shenzhen-cxr",
        ),
        *(
            "tissuemnist",
            "vindr-cxr",
            "xray-926k",
        ),
    }
)
"""Collections whose relations are written down in ``FAMILIES`` and ``UNCERTAIN``."""

FAMILIES: tuple[frozenset[str], ...] = (
    frozenset(
        {"chestxray14", "chestx-ray8", "rsna-pneumonia", "chestmnist", "pneumothorax-segmentation"},
    ),
    frozenset({"busi", "breastmnist"}),
    frozenset({"ham10000", "isic2018", "isic2019", "dermamnist"}),
    frozenset({"lits", "organamnist", "organcmnist", "organsmnist"}),
    frozenset({"kermany-pediatric-cxr", "pneumoniamnist"}),
    frozenset({"kermany-oct", "octmnist"}),
    frozenset({"nct-crc-he-100k", "pathmnist"}),
    frozenset({"deepdrid", "retinamnist"}),
    frozenset({"pbc-blood-cells", "bloodmnist"}),
    frozenset({"bbbc051", "tissuemnist"}),
    frozenset({"radnet-1m", "radnet-12m"}),
    frozenset({"mass-100k", "mass-350k"}),
    frozenset({"msk-1488k", "msk-3134k"}),
)
"""Collections of one family share images under different names."""

UNCERTAIN = {
    "radimagenet": "the sources of RadImageNet are not published",
    "xray-926k": "the list of its thirteen chest X-ray sources is not verified",
    "medsiglip-mix": "the medical images of MedSigLIP's training are of many kinds and only partly named",
    "pmc-15m": "figures of published articles may show images of any public collection",
}
"""Medical collections whose own sources are not fully known, and why."""

UNCERTAIN_AMONG = {"xray-926k": CHEST_XRAY}
"""Where such a collection can only overlap with some others."""


@dataclass(frozen=True)
class Overlap:
    """The relation between pretraining images and the images of a task."""

    status: OverlapStatus
    """``same`` collection, ``source``: shared images under another name, ``clean``, or ``unknown``."""
    reason: str
    """Why, as one clause for reports."""


def overlap(pretraining_data: tuple[str, ...], objective: str, image_sets: tuple[str, ...]) -> Overlap:
    """Return whether images used for pretraining are among those of a task.

    Args:
        pretraining_data: Identifiers of the collections the weights were trained on.
        objective: Objective of the pretraining; ``none`` for random weights.
        image_sets: Identifiers of the collections the task draws its images from; the mark of
            own images counts only when nothing else is declared.

    Returns:
        The strongest relation found: ``same``, then ``source``, then ``unknown``, then ``clean``.

    Example:
        >>> overlap(("chestxray14",), "supervised", ("rsna-pneumonia",)).status
        'source'
    """
    if objective == "none":
        return Overlap("clean", "random weights have seen no images")
    if not pretraining_data:
        return Overlap("unknown", "the pretraining data are not declared")
    if not image_sets:
        return Overlap("unknown", "the task does not say which collections its images come from")
    declared = tuple(name for name in image_sets if not name.startswith(OWN_PREFIX)) or image_sets
    pairs = [_relation(seen, used) for seen in pretraining_data for used in declared]
    order: tuple[OverlapStatus, ...] = ("same", "source", "unknown", "clean")
    found = next(status for status in order if any(pair.status == status for pair in pairs))
    return Overlap(found, _joined(pair.reason for pair in pairs if pair.status == found))


def unlabelled(collection: str) -> str:
    """Return the identifier of a collection whose images were seen without its labels.

    What was learnt so is not the task itself, which makes the relation ``source`` instead of ``same``.

    Example:
        >>> overlap((unlabelled("chestxray14"),), "simmim", ("chestxray14",)).status
        'source'
    """
    return collection + UNLABELLED


def collection_of(identifier: str) -> str:
    """Return the identifier of a collection without the mark for unlabelled images."""
    return identifier.removesuffix(UNLABELLED)


def _relation(declared: str, used: str) -> Overlap:
    seen = collection_of(declared)
    if seen == used:
        if declared != seen:
            return Overlap("source", f"pretrained on images of {seen} without its labels")
        return Overlap("same", f"pretrained on {seen}")
    if any(seen in family and used in family for family in FAMILIES):
        return Overlap("source", f"{used} shares images with {seen}")
    if seen in NATURAL or seen.startswith(PHANTOM_PREFIX) or used.startswith(PHANTOM_PREFIX):
        return Overlap("clean", f"{seen} holds no image of {used}")
    doubt = _doubt(seen, used)
    return Overlap("unknown", doubt) if doubt else Overlap("clean", f"{seen} and {used} share no images")


def _doubt(seen: str, used: str) -> str:
    """Return why nobody can tell whether two collections share images; empty when they do not."""
    if seen in CRAWLED:
        return f"{seen} was crawled from the web, where images of {used} may be"
    if used.startswith(OWN_PREFIX):
        return f"nobody said whether {used} holds images of {seen}"
    unregistered = [name for name in (seen, used) if name not in MEDICAL and name not in NATURAL]
    if seen in UNCERTAIN and (unregistered or used in UNCERTAIN_AMONG.get(seen, MEDICAL)):
        return UNCERTAIN[seen]
    return f"{unregistered[0]} is not in the register of image collections" if unregistered else ""


def _joined(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reasons))
