"""Data on a GPU: views, pixels and embeddings as the CPU gives them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from medtransfer.data.augmentation import DEFAULT, STUDY_A_SEGMENTATION, Augmentation, draw_views
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.data.device_copies import BATCHES_AHEAD, DeviceCopies, read_later
from medtransfer.data.distortions import Distortion
from medtransfer.data.looks import Looks
from medtransfer.features.embedding import extract_embeddings
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import build_encoder
from medtransfer.training.determinism import reproducible
from medtransfer.training.device_choice import SHARED_PART, claim_device
from medtransfer.training.device_memory import limit_use, usable_bytes
from medtransfer.training.device_pixels import place_pixels
from medtransfer.training.device_views import compute_views

LOOKS = Looks(0.7, (0.5, 2.0), 0.4, 0.4, 0.2, 0.4, (0.1, 2.0), 0.4, 2.0, 0.2)
EVERYTHING = replace(DEFAULT, looks=LOOKS, distortion=Distortion(probability=0.7))


def pictures(count: int = 32, side: int = 72) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise])


@pytest.mark.parametrize("ranges", [DEFAULT, STUDY_A_SEGMENTATION, EVERYTHING])
def test_views_are_those_of_the_same_code_on_the_cpu(ranges: Augmentation, cuda: torch.device) -> None:
    images = pictures()
    draws = draw_views(np.arange(32), side=72, size=64, augmentation=ranges, seed=1, epoch=0)
    found = []
    for place in (torch.device("cpu"), cuda):
        copies = DeviceCopies(place)
        tensors = copies.put(images), copies.put(images[..., 0] // 128)
        views, masks = compute_views(*tensors, draws, ranges, copies)
        assert masks is not None
        found.append((views.cpu().int(), masks.cpu()))
    difference = (found[0][0] - found[1][0]).abs()
    assert (difference <= 1).float().mean() >= 0.999
    assert (found[0][1] != found[1][1]).float().mean() <= 1e-3


@pytest.mark.parametrize("most_bytes", [0, 1 << 30])
def test_rows_arrive_whole_under_load(most_bytes: int, cuda: torch.device) -> None:
    images, copies = pictures(200), DeviceCopies(cuda)
    pixels = place_pixels(images, None, np.arange(200), copies, most_bytes)
    load = torch.randn(2048, 2048, device=cuda)
    found = []
    for number in range(60):
        rows = np.random.default_rng(number).integers(0, 200, 32)
        taken, _ = pixels.take(rows)
        load = (load @ load).clamp(-1, 1)
        found.append((rows, taken.clone()))
        copies.pace()
        assert len(copies._under_way) <= BATCHES_AHEAD
    for rows, taken in found:
        np.testing.assert_array_equal(taken.cpu().numpy(), images[rows])


def test_results_arrive_whole_under_load(cuda: torch.device) -> None:
    def computed():
        load = torch.randn(1024, 1024, device=cuda)
        for number in range(30):
            load = (load @ load).clamp(-1, 1)
            yield number, (torch.full((500, 500), float(number), device=cuda) + 0 * load[0, 0].nan_to_num(),)

    for number, (found,) in read_later(computed(), cuda):
        assert found.device.type == "cpu"
        assert bool((found == number).all())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_embeddings_are_those_of_the_cpu_and_in_fp32(layout: torch.memory_format, cuda: torch.device) -> None:
    cache = DecodedCache(pictures(150, 36), None, "key")
    found = []
    for device in ("cpu", "cuda"):
        encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=3, image_size=32)
        with reproducible(0, torch.device(device)):
            found.append(extract_embeddings(encoder, cache, size=32, device=device, memory_format=layout))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_worker_uses_its_part_of_the_memory(monkeypatch: pytest.MonkeyPatch, cuda: torch.device) -> None:
    from medtransfer.training import device_choice

    monkeypatch.setattr(device_choice, "_HELD", {})
    whole = usable_bytes(cuda)
    try:
        assert claim_device("cuda", 4) == "cuda"
        assert usable_bytes(cuda) == pytest.approx(whole * SHARED_PART / 4, rel=0.01)
    finally:
        limit_use(cuda, 1.0)
