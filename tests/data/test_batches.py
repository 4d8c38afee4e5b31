"""Batches: every case once, its own target, the right view."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.data.augmentation import DEFAULT, NONE, augment_batch
from medtransfer.data.batches import Batch, evaluation_batches, split_rows, training_batches
from medtransfer.data.decoded_cache import DecodedCache

N, SIDE, SIZE = 21, 12, 10


def cache(*, masks: bool = False) -> DecodedCache:
    """Return images whose every pixel is five times the row number."""
    images = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None] * 5, (N, SIDE, SIDE, 1))
    return DecodedCache(images.copy(), images[..., 0].copy() if masks else None, "key")


def train(
    rows: np.ndarray, targets: np.ndarray | None, batch_size: int = 4, **changes: object
) -> list[Batch]:
    settings = {"size": SIZE, "augmentation": NONE, "seed": 1, "epoch": 0, "masks": False} | changes
    return list(
        training_batches(cache(masks=settings.pop("masks")), targets, rows, batch_size=batch_size, **settings)
    )


def rows_of(batches: list[Batch]) -> list[int]:
    return np.concatenate([batch.indices for batch in batches]).tolist()


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (1, [1]), (5, [5])])
def test_training_sees_every_case_once_and_never_a_single_last_one(count: int, sizes: list[int]) -> None:
    rows = np.arange(3, 3 + count)
    batches = train(rows, np.arange(N))
    assert [len(batch.indices) for batch in batches] == sizes
    assert sorted(rows_of(batches)) == rows.tolist()


def test_batches_of_one_stay_batches_of_one_when_asked_for() -> None:
    assert [len(part) for part in split_rows(np.arange(3), 1, merge_single=True)] == [1, 1, 1]


def test_images_and_targets_belong_together() -> None:
    labels = np.arange(N) * 10
    for batch in train(np.arange(N), labels):
        np.testing.assert_array_equal(batch.targets, batch.indices * 10)
        np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.indices * 5)
        assert batch.images.shape[1:] == (SIZE, SIZE, 1)


def test_masks_are_the_targets_where_there_are_no_labels() -> None:
    for batch in train(np.arange(N), None, masks=True, augmentation=DEFAULT):
        assert batch.targets is not None
        assert batch.targets.shape == (len(batch.indices), SIZE, SIZE)
        np.testing.assert_array_equal(batch.targets[:, 0, 0], batch.indices * 5)
    assert all(batch.targets is None for batch in train(np.arange(N), None))


def test_order_depends_on_seed_and_epoch_only() -> None:
    rows = np.arange(N)
    first = rows_of(train(rows, None))
    assert first != rows.tolist()
    assert rows_of(train(rows, None, batch_size=7)) == first
    assert rows_of(train(rows, None, epoch=1)) != first
    assert rows_of(train(rows, None, seed=2)) != first


def test_views_are_drawn_by_row_number_not_by_place_in_the_batch() -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 1), dtype=np.uint8)
    expected, _ = augment_batch(images, None, np.arange(N), size=SIZE, augmentation=DEFAULT, seed=1, epoch=2)
    for batch_size in (3, 8):
        for batch in training_batches(
            DecodedCache(images, None, "key"),
            None,
            np.arange(0, N, 2),
            batch_size=batch_size,
            size=SIZE,
            augmentation=DEFAULT,
            seed=1,
            epoch=2,
        ):
            np.testing.assert_array_equal(batch.images, expected[batch.indices])


def test_evaluation_keeps_the_order_and_takes_the_centre() -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
    rows = np.array([5, 1, 20, 7, 7])
    batches = list(evaluation_batches(DecodedCache(images, None, "key"), None, rows, batch_size=2, size=SIZE))
    assert [len(batch.indices) for batch in batches] == [2, 2, 1]
    assert rows_of(batches) == rows.tolist()
    np.testing.assert_array_equal(
        np.concatenate([batch.images for batch in batches]), images[rows, 1:-1, 1:-1]
    )


def test_evaluation_gives_labels_or_masks() -> None:
    labels = np.eye(N)
    (batch,) = evaluation_batches(cache(), labels, np.array([4, 2]), batch_size=9, size=SIZE)
    np.testing.assert_array_equal(batch.targets, labels[[4, 2]])
    (batch,) = evaluation_batches(cache(masks=True), None, np.array([4, 2]), batch_size=9, size=SIDE)
    np.testing.assert_array_equal(batch.targets, cache(masks=True).masks[[4, 2]])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="targets: expected one row for each of 21"):
        train(np.arange(3), np.arange(3))
    with pytest.raises(ShapeError, match=r"indices: expected rows in \[0, 21\)"):
        train(np.array([N]), None)
    with pytest.raises(ShapeError, match="batch size"):
        train(np.arange(3), None, batch_size=0)
    with pytest.raises(ShapeError, match="size: expected 1 to 12"):
        list(evaluation_batches(cache(), None, np.arange(2), batch_size=2, size=13))
