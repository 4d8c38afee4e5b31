"""Fields of distortion computed as tensors are those of the CPU path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medtransfer.data.device_copies import DeviceCopies
from medtransfer.data.distortions import Bend, Distortion, ElasticBend, GridBend, OpticalBend, draw_bend
from medtransfer.training.device_bends import bent_places

COPIES = DeviceCopies(torch.device("cpu"))
RANGES = Distortion(probability=1.0)


def drawn(kind: type[ElasticBend | GridBend | OpticalBend], size: int, count: int = 4) -> list[Bend | None]:
    return [kind.draw(RANGES, np.random.default_rng(number), size) for number in range(count)]


@pytest.mark.parametrize("kind", [ElasticBend, GridBend, OpticalBend])
@pytest.mark.parametrize("size", [8, 33, 224])
def test_each_kind_gives_the_places_of_the_cpu_path(kind: type[ElasticBend], size: int) -> None:
    bends = drawn(kind, size)
    found = bent_places(bends, size, COPIES).numpy()
    for place, bend in zip(found, bends, strict=True):
        assert bend is not None
        np.testing.assert_allclose(place, bend.field(), atol=2e-3)


def test_every_case_of_a_mixed_batch_gets_its_own_field() -> None:
    size = 48
    bends = [draw_bend(Distortion(probability=0.7), np.random.default_rng(n), size) for n in range(30)]
    assert {type(bend) for bend in bends} == {type(None), ElasticBend, GridBend, OpticalBend}
    straight = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=2)
    for place, bend in zip(bent_places(bends, size, COPIES).numpy(), bends, strict=True):
        np.testing.assert_allclose(place, straight if bend is None else bend.field(), atol=1e-3)


def test_one_straight_field_serves_a_batch_without_distortions() -> None:
    assert bent_places([None] * 5, 7, COPIES).shape == (1, 7, 7, 2)
