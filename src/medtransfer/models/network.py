"""Encoders: a source model's network with its input contract, its embedding and its feature pyramid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNormalisation

from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.models.backbones import build_backbone, end_network_at
from medtransfer.models.fixed_size import fit_to_size, has_fixed_size, patch_side
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.input_transform import InputTransform
from medtransfer.models.key_audit import KeyAudit
from medtransfer.models.load_weights import load_into, read_weights, refuse_used_gaps
from medtransfer.models.pyramid import PyramidLevel, captured_maps, find_pyramid
from medtransfer.models.source_model import InputContract, SourceModel
from medtransfer.models.stage_pyramid import StagePyramid, find_stage_pyramid
from medtransfer.models.token_pyramid import TokenPyramid, find_token_pyramid

PROBE_SIDE = 128
"""Side in pixels of the images whose forward pass shows the structure of a network."""


class Encoder(nn.Module):
    """A network without task head that takes uint8 images.

    Args:
        name: Name of the source model, for messages.
        backbone: From normalised images to embeddings, shape (N, F).
        contract: What the backbone expects of its input.
        embedding_size: Number of features F.
        levels: Where its feature pyramid is found, finest first.
        image_size: Side in pixels of the images it is meant for.
        tokens: How the pyramid is made where the network passes on tokens, not maps.
        audit: Account of the loaded weights; None for random ones.
    """

    def __init__(
        self,
        name: str,
        backbone: nn.Module,
        contract: InputContract,
        *,
        embedding_size: int,
        levels: Sequence[PyramidLevel],
        image_size: int,
        tokens: StagePyramid | TokenPyramid | None = None,
        audit: KeyAudit | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.backbone = backbone
        self.input_transform = InputTransform(contract)
        self.input = contract
        self.embedding_size = embedding_size
        self.levels = tuple(levels)
        self.image_size = image_size
        self.tokens = tokens
        self.audit = audit
        self.adapts_statistics = False
        """Whether frozen batch normalisation follows training mode; see :mod:`.batch_statistics`."""

    @property
    def pyramid_channels(self) -> tuple[int, ...]:
        """Channels of the pyramid's levels, finest first; empty when there is no pyramid."""
        return tuple(level.channels for level in self.levels)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings.

        Args:
            images: uint8 of shape (N, 1 or 3, H, W), or floats that are already normalised.

        Returns:
            Features, shape (N, embedding_size).
        """
        features: Tensor = self.backbone(self.input_transform(images))
        return features.flatten(1)

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Return feature maps.

        Args:
            images: As for :meth:`forward`.

        Returns:
            One map of shape (N, C, h, w) per level, finest first, with strides of 2 and more; those of
            a plain transformer are its tokens after several blocks, resampled.

        Raises:
            UsageError: If the network has no feature maps of several resolutions.
        """
        self.require_pyramid()
        values = self.input_transform(images)
        if self.tokens is not None:
            return self.tokens.maps(self.backbone, values)
        with captured_maps(self.backbone, self.levels) as maps:
            self.backbone(values)
        return maps

    def train(self, mode: bool = True) -> Encoder:
        """Set training or evaluation mode; layers whose weights are frozen stay in evaluation mode.

        So the statistics of frozen batch normalisation do not move, unless they were set to adapt. A layer without
        weights, such as dropout, follows the block it is in: it stays in evaluation mode where all of that is frozen.
        """
        super().train(mode)
        for module in _frozen_modules(self):
            if not (self.adapts_statistics and isinstance(module, BatchNormalisation)):
                module.training = False
        return self

    def require_pyramid(self) -> None:
        """Raise unless the network has a feature pyramid.

        Raises:
            UsageError: If it has none, as networks that do not show what their blocks give.
        """
        if not self.levels:
            raise UsageError(
                f"model {self.name!r}: expected feature maps of several resolutions, got a network without. "
                "Segment with a convolutional network or a transformer of timm or torchvision."
            )


def _frozen_modules(module: nn.Module, *, inside: bool = False) -> Iterator[nn.Module]:
    """Yield the modules whose own weights are all frozen, and those without any in a frozen surrounding.

    Args:
        module: Where to look.
        inside: Whether the nearest module around it that has weights is frozen as a whole.
    """
    own = list(module.parameters(recurse=False))
    weights = list(module.parameters())
    frozen = not any(weight.requires_grad for weight in weights) if weights else inside
    if not any(weight.requires_grad for weight in own) if own else frozen and not weights:
        yield module
    for part in module.children():
        yield from _frozen_modules(part, inside=frozen)


def build_encoder(
    model: SourceModel, *, weights_folder: Path | None, seed: int, image_size: int | None = None
) -> Encoder:
    """Return the encoder of a source model, in evaluation mode, on the CPU.

    Args:
        model: What to build.
        weights_folder: Where weights files lie; None when the model needs none.
        seed: Seed of random weights, in [0, 2**63); without influence on pretrained ones. The global
            random state is neither read nor changed.
        image_size: Side in pixels of the images that will come, to adapt or refuse; None for the size
            of the input contract.

    Raises:
        WeightsError: If the weights are missing, unsafe, damaged or made for another network; no tensor
            of a pretrained network is ever left at its random value.
        UsageError: If the network cannot take images of that size.
    """
    contract = contract_of(model)
    backbone = build_backbone(model.architecture, contract, seed).eval()
    audit = None
    if model.weights is not None:
        audit = load_into(backbone, read_weights(model, weights_folder, seed), model.weights, model.name)
    if model.architecture.trunk is not None:
        end_network_at(backbone, model.architecture.trunk)
    if audit is not None:
        refuse_used_gaps(backbone, audit, model.name)
    fit_to_size(backbone, model.architecture, contract.size, image_size)
    fixed = has_fixed_size(backbone) or PROBE_SIDE % patch_side(backbone)
    fixed_side = (image_size or contract.size) if fixed else None
    embedding_size = _embedding_size(model, backbone, contract, fixed_side or image_size or PROBE_SIDE)
    probe = _probe_images(contract, fixed_side or PROBE_SIDE)[:1]
    levels = find_pyramid(backbone, probe)
    tokens = None if levels else find_stage_pyramid(backbone, probe) or find_token_pyramid(backbone, probe)
    return Encoder(
        model.name,
        backbone,
        contract,
        embedding_size=embedding_size,
        levels=tokens.levels if tokens is not None else levels,
        image_size=image_size or contract.size,
        tokens=tokens,
        audit=audit,
    ).eval()


def state_hash(network: nn.Module) -> str:
    """Return the SHA-256 hex digest of a network's parameters and buffers, with their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _embedding_size(model: SourceModel, backbone: nn.Module, contract: InputContract, side: int) -> int:
    """Return the number of features, after a look at the embeddings of two generated images."""
    try:
        with torch.no_grad():
            embeddings = backbone(_probe_images(contract, side)).flatten(1)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"model {model.name!r}: expected to take images of {side} pixels, got: {error}. Use larger ones."
        ) from error
    if model.weights is not None and not _differ(embeddings):
        raise WeightsError(
            f"model {model.name!r}: expected embeddings that depend on the image, got equal or non-finite "
            "ones. The weights are damaged, or the input contract is wrong."
        )
    return int(embeddings.shape[1])


def _differ(embeddings: Tensor) -> bool:
    return bool(torch.isfinite(embeddings).all()) and not torch.allclose(
        embeddings[0], embeddings[1], rtol=1e-4
    )


def _probe_images(contract: InputContract, side: int) -> Tensor:
    """Return noise and a brightness ramp as the network sees them, shape (2, channels, side, side)."""
    noise = torch.randint(
        0, 256, (1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    ramp = torch.linspace(0, 255, side).round().to(torch.uint8).expand(1, side, side)
    images: Tensor = InputTransform(contract)(torch.stack([noise, ramp]))
    return images
