"""R7: what is left of a GPU's own training rate, and which share of its arithmetic a ResNet-50 keeps busy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contest import Arm, Contest, Goal, NotMeasured, Verdict
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.augmentation import DEFAULT
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.heads import Classifier
from medtransfer.models.network import build_encoder
from medtransfer.training.fit_network import fit_network
from medtransfer.training.goal import Goal as TrainingGoal
from medtransfer.training.losses import build_loss
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.optimisers import build_optimiser
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages, IndexArray

IN_MEMORY, OURS, PRODUCT = "tensors on the device", "ours", "matrix product"
NO_DEVICE = "no CUDA device"
RATE_GOAL, SHARE_GOAL = 0.95, 0.25
PRODUCT_SIDE = 8192
PRODUCTS = 20
DATASHEET_TFLOPS: Mapping[str, float] = {"H100 PCIe": 756, "H100": 989, "H200": 989, "A100": 312}
"""Dense bf16 rate its maker states for a device whose name holds the key; the first that fits. For information."""


@dataclass(frozen=True)
class GpuWork:
    """A network, its images and how many of them."""

    model: str
    """Name of the source model; weights are random, which costs the same."""
    size: int
    """Side of the views in pixels; images are cached an eighth larger."""
    batch: int
    """Cases per step."""
    cases: int
    """Cases per epoch, a multiple of the batch."""
    epochs: int = 2
    """Passes over them."""

    @property
    def name(self) -> str:
        """Short name for the table."""
        return f"{self.model.removesuffix('.random')}@{self.size}"

    @property
    def seen(self) -> int:
        """Cases an arm trains on."""
        return self.cases * self.epochs

    @property
    def recipe(self) -> TrainingRecipe:
        """How both arms train."""
        return TrainingRecipe(
            epochs=self.epochs,
            warmup_epochs=0,
            schedule="constant",
            learning_rate=1e-4,
            batch_size=self.batch,
            precision="bf16-mixed",
        )

    def network(self, place: torch.device) -> Classifier:
        """Return a classifier on the device, in the memory format our loop chooses."""
        encoder = build_encoder(resolve_model(self.model), weights_folder=None, seed=0, image_size=self.size)
        layout = memory_format_for(encoder, self.size, place)
        return Classifier(encoder, 1, seed=0).to(place).to(memory_format=layout)


WORKS = (GpuWork("resnet18.random", 128, 256, 16_384), GpuWork("resnet50.random", 224, 256, 8_192))


def contests(
    folder: Path,  # noqa: ARG001 (the interface)
    *,
    quick: bool,
) -> Iterator[Contest | NotMeasured]:
    """Yield the training rate of each network and the share of the peak, not measured without a GPU."""
    if not torch.cuda.is_available():
        yield from (NotMeasured(rate_name(work), Goal(RATE_GOAL), NO_DEVICE) for work in WORKS)
        yield NotMeasured(share_name(WORKS[-1]), Goal(SHARE_GOAL), NO_DEVICE)
        return
    place = torch.device("cuda")
    works = [GpuWork(work.model, work.size, 32, 64, 1) if quick else work for work in WORKS]
    for work in works:
        yield training_contest(work, place)
    yield share_contest(works[-1], place, products=1 if quick else PRODUCTS)


def rate_name(work: GpuWork) -> str:
    """Return the name of the contest of training rates."""
    return f"{work.name} training, bf16"


def share_name(work: GpuWork) -> str:
    """Return the name of the contest with the matrix product."""
    return f"{work.name} training, share of the bf16 peak"


def training_contest(work: GpuWork, place: torch.device) -> Contest:
    """Return the steps over tensors on the device ÷ our whole loop from the decoded cache, per case."""
    return Contest(
        rate_name(work),
        numerator=Arm(IN_MEMORY, partial(train_plainly, work, work.network(place), place)),
        denominator=Arm(OURS, our_training(work, place)),
        goal=Goal(RATE_GOAL),
        verify=partial(_same_cases, work.seen),
        clock=partial(device_seconds, place),
        speed=partial(product_seconds, place),
    )


def share_contest(work: GpuWork, place: torch.device, *, products: int, side: int = PRODUCT_SIDE) -> Contest:
    """Return a large matrix product ÷ our whole loop, per floating point operation: our share of the peak."""
    operations = operations_per_case(work, place)
    return Contest(
        share_name(work),
        numerator=Arm(PRODUCT, matrix_products(place, products, side), units=2.0 * side**3 * products),
        denominator=Arm(OURS, our_training(work, place), units=operations * work.seen),
        goal=Goal(SHARE_GOAL),
        verify=lambda _: Verdict(
            equal=True,
            facts={
                "device": _device_name(place),
                "operations_per_case": operations,
                "datasheet_tflops": _datasheet(_device_name(place)),
            },
        ),
        clock=partial(device_seconds, place),
        speed=partial(product_seconds, place),
    )


def our_training(work: GpuWork, place: torch.device) -> Callable[[], int]:
    """Return our training loop over drawn images, augmentation on, which returns the cases it has seen."""
    network = work.network(place)
    cache = drawn_cache(work)
    rows = np.arange(work.cases, dtype=np.int64)
    data = CachedImages(
        cache=cache,
        labels=rows % 2,
        train=rows,
        validate=rows[:2],
        size=work.size,
        augmentation=DEFAULT,
        batch_size=work.batch,
        seed=0,
        memory_format=memory_format_for(network, work.size, place),
    )
    goal = TrainingGoal(build_loss(TaskKind.BINARY, work.recipe), NoMetric)
    return lambda: int(
        fit_network(network, data, work.recipe, goal, seed=0, device=str(place)).facts["cases_seen"]
    )


def train_plainly(work: GpuWork, network: nn.Module, place: torch.device) -> int:
    """Train with nothing but the steps over images that lie on the device, and return the cases seen."""
    side = work.size
    images = torch.randint(0, 256, (work.cases, 1, side, side), dtype=torch.uint8, device=place)
    labels = torch.arange(work.cases, device=place) % 2
    optimiser = build_optimiser(network, work.recipe)
    network.train()
    seen = 0
    for _ in range(work.epochs):
        for batch, truth in zip(images.split(work.batch), labels.split(work.batch), strict=True):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(place.type, torch.bfloat16):
                logits: Tensor = network(batch)[:, 0]
            functional.binary_cross_entropy_with_logits(logits.float(), truth.float()).backward()
            optimiser.step()
            seen += len(batch)
    return seen


def drawn_cache(work: GpuWork) -> DecodedCache:
    """Return grey images of noise in memory, an eighth larger than the views."""
    side = round(work.size * 8 / 7)
    images = np.random.default_rng(0).integers(0, 256, (work.cases, side, side, 1), dtype=np.uint8)
    return DecodedCache(images, None, "drawn")


def matrix_products(place: torch.device, count: int, side: int) -> Callable[[], None]:
    """Return so many bf16 products of square matrices of random numbers."""
    left, right = (torch.randn(side, side, device=place).bfloat16() for _ in range(2))

    def multiply() -> None:
        for _ in range(count):
            torch.mm(left, right)

    return multiply


def operations_per_case(work: GpuWork, place: torch.device) -> float:
    """Return the floating point operations of a training step per case; a multiplication and an addition are two."""
    network = work.network(place).train()
    images = torch.zeros(2, 1, work.size, work.size, dtype=torch.uint8, device=place)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return counter.get_total_flops() / len(images)


def device_seconds(place: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds until a device has ended some work, and what the work returned."""
    _wait(place)
    start = time.perf_counter()
    result = work()
    _wait(place)
    return time.perf_counter() - start, result


def product_seconds(place: torch.device) -> float:
    """Return the seconds of a fixed matrix product on the device, the fastest of a few."""
    work = matrix_products(place, 1, 2048)
    return min(device_seconds(place, work)[0] for _ in range(5))


class NoMetric:
    """A validation metric that costs nothing; the loss selects."""

    def add(self, logits: Tensor, rows: IndexArray) -> None:
        """Take nothing."""

    def value(self) -> None:
        """Return None."""


def _wait(place: torch.device) -> None:
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def _device_name(place: torch.device) -> str:
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type


def _datasheet(name: str) -> float | None:
    return next((rate for key, rate in DATASHEET_TFLOPS.items() if key in name), None)


def _same_cases(expected: int, results: Mapping[str, Any]) -> Verdict:
    return Verdict(results[IN_MEMORY] == results[OURS] == expected, {"cases": expected})
