"""Distortions: fields are smooth, in place on average, the same for image and mask, and drawn per case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medtransfer.core.errors import UsageError
from medtransfer.data.augmentation import NONE, augment_batch
from medtransfer.data.distortions import (
    Distortion,
    ElasticBend,
    GridBend,
    OpticalBend,
    draw_bend,
)

ALWAYS = Distortion(probability=1.0)
SIZE = 64


def places() -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    return np.stack([columns, rows], axis=2).astype(np.float32)


@pytest.mark.parametrize("kind", [ElasticBend, GridBend, OpticalBend])
def test_limits_of_zero_leave_every_pixel_where_it_is(kind) -> None:
    none = replace(ALWAYS, elastic_alpha=0, elastic_affine=0, grid_limit=0, optical_limit=0, optical_shift=0)
    assert np.abs(kind.draw(none, np.random.default_rng(0), SIZE).field() - places()).max() < 1e-3


@pytest.mark.parametrize("kind", [ElasticBend, GridBend, OpticalBend])
def test_fields_move_pixels_smoothly(kind) -> None:
    field = kind.draw(ALWAYS, np.random.default_rng(3), SIZE).field()
    moved = np.abs(field - places()).max()
    assert 0.5 < moved < SIZE
    assert field.dtype == np.float32
    assert np.isfinite(field).all()


def test_grid_keeps_the_border_and_the_order() -> None:
    field = GridBend.draw(ALWAYS, np.random.default_rng(1), SIZE).field()
    assert field[0, 0].tolist() == [0, 0]
    assert field[-1, -1] == pytest.approx([SIZE - 1, SIZE - 1])
    assert (np.diff(field[0, :, 0]) > 0).all()
    steps = np.diff(field[0, :, 0])
    assert steps.max() / steps.min() < 1.3 / 0.7 * 1.35


def test_elastic_displacements_are_in_proportion_to_the_side() -> None:
    def spread(size: int) -> float:
        drawn = [
            ElasticBend.draw(replace(ALWAYS, elastic_affine=0), np.random.default_rng(n), size).field()
            for n in range(6)
        ]
        columns, rows = np.meshgrid(np.arange(size), np.arange(size))
        return float(np.mean([np.std(field - np.stack([columns, rows], axis=2)) for field in drawn]))

    assert 2 * spread(112) == pytest.approx(spread(224), rel=0.25)


def test_an_image_that_equals_its_mask_still_does() -> None:
    shapes = np.zeros((12, SIZE, SIZE), dtype=np.uint8)
    shapes[:, 16:48, 20:40] = 1
    images = (shapes * 255)[..., None]
    options = {"size": SIZE, "augmentation": replace(NONE, distortion=ALWAYS), "seed": 5, "epoch": 1}
    views, masks = augment_batch(images, shapes, np.arange(12), **options)
    assert masks is not None
    assert ((views[..., 0] > 127) != (masks == 1)).mean() < 0.01
    assert (masks != shapes).any(axis=(1, 2)).sum() >= 9


def test_a_case_is_bent_the_same_whatever_its_company() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 1), dtype=np.uint8)
    options = {"size": SIZE, "augmentation": replace(NONE, distortion=ALWAYS), "seed": 5, "epoch": 1}
    together, _ = augment_batch(images, None, np.arange(8), **options)
    alone, _ = augment_batch(images[3:4], None, np.array([3]), **options)
    other, _ = augment_batch(images[3:4], None, np.array([3]), **(options | {"epoch": 2}))
    assert np.array_equal(together[3], alone[0])
    assert not np.array_equal(alone, other)


def test_the_share_of_bent_cases_and_of_each_kind() -> None:
    drawn = [draw_bend(Distortion(probability=0.3), np.random.default_rng(n), 8) for n in range(2000)]
    bent = [type(bend) for bend in drawn if bend is not None]
    assert 0.26 < len(bent) / 2000 < 0.34
    for kind in (ElasticBend, GridBend, OpticalBend):
        assert 0.28 < bent.count(kind) / len(bent) < 0.39


@pytest.mark.parametrize(
    "wrong", [{"probability": 2}, {"grid_limit": 1.0}, {"elastic_sigma": 0}, {"grid_steps": 0}]
)
def test_impossible_ranges_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="augmentation distortion"):
        Distortion(**wrong)
