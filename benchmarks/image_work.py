"""The work of the image bars: training and embedding, with our loop and with the plainest one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.data.augmentation import DEFAULT
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.features.embedding import extract_embeddings
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.heads import Classifier
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.training.determinism import reproducible
from medtransfer.training.fit_network import fit_network
from medtransfer.training.memory_layout import lay_out, memory_format_for
from medtransfer.training.product_policy import products_for
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

BATCH = 32
VALIDATION = 2
"""Cases our loop validates on after each epoch; the plain loop passes them through the network too."""
CPU = torch.device("cpu")

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Starts one pass over images and labels."""


@dataclass(frozen=True)
class ImageWork:
    """A network and the size of its images."""

    model: str
    """Name of the source model; weights are random, which costs the same."""
    size: int
    """Side of the images in pixels."""

    @property
    def name(self) -> str:
        """Short name for the table."""
        return f"{self.model.removesuffix('.random').removesuffix('_100')}@{self.size}"

    def plain_encoder(self) -> Encoder:
        """Return the encoder as torch lays it out by itself."""
        return build_encoder(resolve_model(self.model), weights_folder=None, seed=0, image_size=self.size)

    def encoder(self) -> Encoder:
        """Return the encoder laid out as our loops do it."""
        encoder = self.plain_encoder()
        lay_out(encoder, self.size, CPU)
        return encoder

    def layout(self, network: nn.Module) -> torch.memory_format:
        """Return the memory format our loops choose."""
        return memory_format_for(network, self.size, CPU)

    def classifier(self) -> Classifier:
        """Return the encoder with a head of one output, laid out as our loops do it."""
        network = Classifier(self.plain_encoder(), 1, seed=0)
        lay_out(network, self.size, CPU)
        return network


RESNET = ImageWork("resnet18.random", 128)
MOBILENET = ImageWork("mobilenetv3_small_100.random", 224)


def train_from_cache(
    work: ImageWork, cases: CaseTable, cache: DecodedCache, epochs: int
) -> Callable[[], int]:
    """Return our training loop over all cases, which returns how many cases it has seen."""
    network = work.classifier()
    rows = np.arange(len(cache), dtype=np.int64)
    recipe = TrainingRecipe(epochs=epochs, warmup_epochs=0, schedule="constant", learning_rate=1e-4)
    data = CachedImages(
        cache=cache,
        labels=cases.labels(),
        train=rows,
        validate=rows[:VALIDATION],
        size=work.size,
        augmentation=DEFAULT,
        batch_size=BATCH,
        seed=0,
        memory_format=work.layout(network),
    )
    goal = build_goal(cases, "accuracy", recipe, masks=None, validate=data.validate)
    return lambda: int(fit_network(network, data, recipe, goal, seed=0).facts["cases_seen"])


def train_plainly(
    network: nn.Module,
    batches: Batches,
    validation: Tensor,
    epochs: int,
    build_optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
) -> int:
    """Train with nothing but the steps, pass the validation images each epoch, and return the cases seen."""
    optimiser = build_optimiser(network.parameters())
    seen = 0
    for _ in range(epochs):
        network.train()
        for images, labels in batches():
            optimiser.zero_grad(set_to_none=True)
            logits = network(images)[:, 0]
            functional.binary_cross_entropy_with_logits(logits, labels.float()).backward()
            optimiser.step()
            seen += len(images)
        network.eval()
        with torch.inference_mode():
            network(validation)
    return seen


def embed_from_cache(work: ImageWork, cache: DecodedCache) -> Callable[[], npt.NDArray[np.float32]]:
    """Return our embedding of all cases, as the probes run it."""
    encoder = work.encoder()
    layout = work.layout(encoder)

    def embed() -> npt.NDArray[np.float32]:
        with reproducible(0, CPU):
            return extract_embeddings(
                encoder, cache, size=work.size, memory_format=layout, products=products_for(CPU)
            )

    return embed


def embed_plainly(network: nn.Module, batches: Batches) -> npt.NDArray[np.float32]:
    """Return the network's outputs over one pass."""
    network.eval()
    with torch.inference_mode():
        return np.concatenate([network(images).numpy() for images, _ in batches()])


def centre_batches(work: ImageWork, cases: CaseTable, cache: DecodedCache, batch: int) -> Batches:
    """Return batches of the centre views that lie in memory as tensors, ready for the network."""
    start = (cache.side - work.size) // 2
    window = slice(start, start + work.size)
    images = torch.from_numpy(np.ascontiguousarray(cache.images[:, window, window])).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=work.layout(work.encoder()))
    labels = torch.tensor(cases.labels())
    return partial(_cut, images, labels, batch)


def _cut(images: Tensor, labels: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(images.split(batch), labels.split(batch), strict=True)
