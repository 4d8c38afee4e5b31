"""The relation between pretraining images and a task's images."""

from __future__ import annotations

import pytest

from medtransfer.models.catalogue import catalogue
from medtransfer.models.overlap import FAMILIES, MEDICAL, NATURAL, UNCERTAIN, overlap


@pytest.mark.parametrize(
    ("seen", "objective", "used", "status"),
    [
        ((), "none", ("busi",), "clean"),
        ((), "none", (), "clean"),
        ((), "undeclared", ("busi",), "unknown"),
        ((), "supervised", ("busi",), "unknown"),
        (("imagenet-1k",), "supervised", (), "unknown"),
        (("imagenet-1k",), "supervised", ("busi",), "clean"),
        (("imagenet-1k",), "supervised", ("own:knee",), "clean"),
        (("imagenet-1k",), "supervised", ("never-heard-of",), "clean"),
        (("chestxray14",), "supervised", ("chestxray14",), "same"),
        (("chestxray14",), "supervised", ("rsna-pneumonia",), "source"),
        (("rsna-pneumonia",), "supervised", ("chestxray14",), "source"),
        (("imagenet-1k", "chestxray14"), "supervised", ("chestmnist",), "source"),
        (("imagenet-1k", "chexpert"), "supervised", ("chestxray14",), "clean"),
        (("chestxray14", "chexpert"), "supervised", ("chexpert", "own:x"), "same"),
        (("ham10000",), "supervised", ("isic2018",), "source"),
        (("busi",), "supervised", ("breastmnist",), "source"),
        (("lits",), "simclr", ("organsmnist",), "source"),
        (("lits",), "simclr", ("busi",), "clean"),
        (("chestxray14",), "supervised", ("own:ward",), "unknown"),
        (("chestxray14",), "supervised", ("drive", "own:ward"), "clean"),
        (("radimagenet",), "supervised", ("covid-ct",), "unknown"),
        (("radimagenet",), "supervised", ("radimagenet",), "same"),
        (("laion-400m",), "clip", ("busi",), "unknown"),
        (("chestxray14",), "supervised", ("never-heard-of",), "unknown"),
        (("own:knee",), "simclr", ("own:knee",), "same"),
    ],
)
def test_status(seen: tuple[str, ...], objective: str, used: tuple[str, ...], status: str) -> None:
    found = overlap(seen, objective, used)
    assert found.status == status
    assert found.reason


def test_reason_names_the_collections() -> None:
    found = overlap(("imagenet-1k", "chestxray14"), "supervised", ("chestmnist",))
    assert found.reason == "chestmnist shares images with chestxray14"


def test_register_is_consistent() -> None:
    assert set().union(*FAMILIES) <= MEDICAL
    assert set(UNCERTAIN) <= MEDICAL
    assert not MEDICAL & NATURAL
    assert sum(map(len, FAMILIES)) == len(set().union(*FAMILIES))


def test_every_catalogue_entry_uses_registered_collections() -> None:
    for model in catalogue:
        assert set(model.pretraining.data) <= MEDICAL | NATURAL
