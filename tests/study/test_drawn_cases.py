"""Drawn cases have the shape of a task's, and every class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.study.drawn_cases import CaseShape, draw_cases

SHAPES = [
    CaseShape(TaskKind.BINARY, ("no", "yes")),
    CaseShape(TaskKind.MULTI_CLASS, ("a", "b", "c"), has_volumes=True),
    CaseShape(TaskKind.MULTI_LABEL, ("a", "b", "c"), scored=("a", "b")),
    CaseShape(TaskKind.SEGMENTATION, ("a", "b"), structures=(("both", ("a", "b")),), has_fields_of_view=True),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind.value)
def test_a_table_has_the_shape_it_was_drawn_for(shape: CaseShape) -> None:
    cases = draw_cases(shape, 16, train=7, val=6, test=8)
    assert CaseShape.of(cases) == shape
    assert [len(cases.indices(split)) for split in ("train", "val", "test")] == [7, 6, 8]


@pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: shape.kind.value)
def test_every_class_occurs_in_every_split(shape: CaseShape) -> None:
    cases = draw_cases(shape, 16, train=6, val=6, test=6)
    labels = cases.labels()
    for split in ("train", "val", "test"):
        assert set(labels[cases.indices(split)]) == set(range(len(shape.classes)))


def test_every_finding_is_there_and_absent_in_every_split() -> None:
    cases = draw_cases(SHAPES[2], 16, train=6, val=6, test=6)
    for split in ("train", "val", "test"):
        values = cases.labels()[cases.indices(split)]
        assert (values.min(axis=0) == 0).all()
        assert (values.max(axis=0) == 1).all()


def test_masks_show_every_class_and_background(tmp_path: Path) -> None:
    cache = open_decoded_cache(draw_cases(SHAPES[3], 16, train=4, val=2, test=2), 16, tmp_path)
    assert cache.masks is not None
    assert set(np.unique(cache.masks)) == {0, 1, 2}
    assert cache.images.shape == (8, 16, 16, 1)


def test_the_same_locator_is_the_same_picture() -> None:
    source = draw_cases(SHAPES[0], 16, train=2, val=1, test=1).source
    assert np.array_equal(source.read_image("3"), source.read_image("3"))
    assert not np.array_equal(source.read_image("3"), source.read_image("2"))
    assert source.content_hash("3") != source.content_hash("2")
    assert source.describe("3") == "drawn image 3"
