"""Mixed precision on the CPU: what bf16 training steps gain over those in fp32, and that they learn the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from benchmarks.contest import Arm, Contest, Goal, NotMeasured, Verdict
from benchmarks.r7_gpu import NoMetric
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.augmentation import DEFAULT
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.heads import Classifier
from medtransfer.models.network import build_encoder
from medtransfer.study.worker_setup import use_one_thread
from medtransfer.training.fit_network import fit_network
from medtransfer.training.goal import Goal as TrainingGoal
from medtransfer.training.losses import build_loss
from medtransfer.training.memory_layout import lay_out
from medtransfer.training.recipe import Precision, TrainingRecipe
from medtransfer.training.training_data import CachedImages

FP32, MIXED = "fp32", "bf16-mixed"
NO_BF16 = "no CPU that multiplies bf16"
CPU = torch.device("cpu")
BATCH = 32
LOSS_TOLERANCE = 0.02
"""Largest relative difference of the training losses of an epoch; rounding to 8 bits makes some."""


@dataclass(frozen=True)
class MixedWork:
    """A network, its images, and what bf16 should gain."""

    model: str
    """Name of the source model; weights are random, which costs the same."""
    size: int
    """Side of the views in pixels."""
    with_units: float
    """Least gain on a CPU with matrix units for bf16."""
    with_vectors: float
    """Least gain on one that multiplies bf16 in its vector units only."""
    masks: bool = False
    """Whether a U-Net is trained on masks, rather than a head on labels."""

    @property
    def name(self) -> str:
        """Short name for the table."""
        name = f"{self.model.removesuffix('.random').removesuffix('_100')}@{self.size}"
        return f"U-Net on {name}" if self.masks else name

    def network(self, precision: Precision) -> tuple[nn.Module, torch.memory_format]:
        """Return the network, laid out as our loop does it, and the memory format of its images."""
        encoder = build_encoder(resolve_model(self.model), weights_folder=None, seed=0, image_size=self.size)
        network = (
            build_segmenter("unet", encoder, 1, image_size=self.size, seed=0)
            if self.masks
            else Classifier(encoder, 1, seed=0)
        )
        return network, lay_out(network, self.size, CPU, precision)


WORKS = (
    MixedWork("mobilenetv1_100.random", 64, 1.0, 1.0),
    MixedWork("mobilenetv3_small_100.random", 224, 1.0, 0.9),
    MixedWork("resnet18.random", 128, 1.5, 1.3),
    MixedWork("mobilenetv1_100.random", 128, 1.5, 1.2, masks=True),
)


def contests(
    folder: Path,  # noqa: ARG001 (the interface)
    *,
    quick: bool,
) -> Iterator[Contest | NotMeasured]:
    """Yield our training loop in fp32 ÷ in mixed precision; not measured where no instruction multiplies bf16."""
    use_one_thread()
    can = bf16_instructions()
    for work in WORKS:
        goal = Goal(work.with_units if can == "matrix" else work.with_vectors)
        yield (
            mixed_contest(work, goal, cases=4 if quick else 96)
            if can
            else NotMeasured(work.name, goal, NO_BF16)
        )


def bf16_instructions() -> Literal["matrix", "vector"] | None:
    """Return with which instructions this CPU multiplies bf16, as torch says: AMX, AVX-512, or none."""
    has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    if has.get("amx_bf16"):
        return "matrix"
    return "vector" if has.get("avx512_bf16") else None


def mixed_contest(work: MixedWork, goal: Goal, cases: int) -> Contest:
    """Return an epoch in fp32 ÷ the same epoch in mixed precision."""
    return Contest(
        work.name,
        numerator=Arm(FP32, partial(train, work, "fp32", cases)),
        denominator=Arm(MIXED, partial(train, work, "bf16-mixed", cases)),
        goal=goal,
        verify=_same_learning,
    )


def train(work: MixedWork, precision: Precision, cases: int) -> float:
    """Train for an epoch on drawn images and return its training loss."""
    network, layout = work.network(precision)
    draw = np.random.default_rng(0)
    side = work.size if work.masks else round(work.size * 8 / 7)
    images = draw.integers(0, 256, (cases, side, side, 1), dtype=np.uint8)
    masks = draw.integers(0, 2, (cases, side, side), dtype=np.uint8) if work.masks else None
    rows = np.arange(cases, dtype=np.int64)
    recipe = TrainingRecipe(
        epochs=1, warmup_epochs=0, schedule="constant", learning_rate=1e-4, precision=precision
    )
    data = CachedImages(
        cache=DecodedCache(images, masks, "drawn"),
        labels=None if work.masks else rows % 2,
        train=rows,
        validate=rows[:2],
        size=work.size,
        augmentation=DEFAULT,
        batch_size=BATCH,
        seed=0,
        memory_format=layout,
    )
    kind = TaskKind.SEGMENTATION if work.masks else TaskKind.BINARY
    goal = TrainingGoal(build_loss(kind, recipe), NoMetric)
    loss = fit_network(network, data, recipe, goal, seed=0).curve[-1]["train_loss"]
    assert loss is not None
    return loss


def _same_learning(results: Mapping[str, Any]) -> Verdict:
    one, other = results[FP32], results[MIXED]
    difference = abs(one - other) / one
    return Verdict(difference <= LOSS_TOLERANCE, {"loss": one, "relative_difference": difference})
