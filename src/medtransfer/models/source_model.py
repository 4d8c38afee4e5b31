"""The record of a source model: architecture, weights, pretraining and input contract; no torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class InputContract:
    """What a source model expects of its input; images are scaled to [0, 1] first."""

    size: int = 224
    """Side length in pixels the weights were trained with."""
    channels: int = 3
    """Channels of the first layer; grey images are repeated, colour ones turned to grey for 1."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted per channel, in units of ``value_range``."""
    std: tuple[float, ...] = IMAGENET_STD
    """Divided by per channel."""
    value_range: Literal["unit", "minmax", "hounsfield-like"] = "unit"
    """``unit``: [0, 1]; ``minmax``: each image stretched to [0, 1]; ``hounsfield-like``: [-1024, 1024]."""
    interpolation: str = "bilinear"
    """Interpolation of the original training, for information."""


@dataclass(frozen=True)
class Architecture:
    """A network definition by library and name."""

    name: str
    """Our name for it, the part of a source model's name before the dot."""
    library: Literal["timm", "torchvision", "medtransfer"]
    """Who defines it."""
    builder: str
    """The library's own name for it; ``module:function`` for networks of this package."""
    options: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments for the library's builder, as pairs."""
    trunk: str | None = None
    """Last module that is used; everything after it is removed. None keeps the whole network."""


@dataclass(frozen=True)
class DeclaredGap:
    """Parameters a checkpoint is known not to hold."""

    prefix: str
    """Start of the network's parameter names, such as ``blocks.4.1.``."""
    reason: str
    """Why they are absent and what becomes of them."""


Adaptation = Literal["positions", "bias-tables", "linear-to-conv", "stem-channels", "leading-axes"]
"""``positions``: positional embeddings are interpolated to another number of patches. ``bias-tables``: so
are tables of relative positions. ``linear-to-conv``: a matrix becomes a 1 x 1 convolution.
``stem-channels``: a first layer of three channels is summed into one, or one is repeated to three.
``leading-axes``: axes of length one are added in front."""


@dataclass(frozen=True)
class WeightsFile:
    """Where pretrained weights are and how their keys become the network's."""

    file: str | None = None
    """File name below the weights folder, or an absolute path."""
    hub: str | None = None
    """timm or torchvision weights identifier, downloaded by that library."""
    url: str | None = None
    """Address of a direct download."""
    sha256: str | None = None
    """Digest the file must have; None for files the user names."""
    container: str | None = None
    """Key under which the tensors lie, such as ``state_dict``; None when they lie at the top."""
    prefix: str = ""
    """Keys starting with this are kept and stripped of it; the others are dropped and listed."""
    rename: tuple[tuple[str, str], ...] = ()
    """Pairs (old start, new start), applied in order to the start of a key."""
    drop: tuple[str, ...] = ()
    """First path components that are dropped on purpose, such as ``fc``."""
    gaps: tuple[DeclaredGap, ...] = ()
    """What the file is known not to hold."""
    containers: tuple[str, ...] = ()
    """Keys tried in this order in place of ``container``, where copies of the file differ."""
    strip: tuple[str, ...] = ()
    """Starts removed from every key, each at most once and in this order, where a key has them."""
    scheme: str = "same"
    """Name of the scheme that turns the file's names into the network's; see :mod:`.key_schemes`."""
    ignore: tuple[str, ...] = ()
    """Expressions that match the whole of a key that is left out on purpose, such as a decoder's."""
    adapt: tuple[Adaptation, ...] = ()
    """What may be done to tensors whose shape is not the network's; each use is recorded."""
    converter: str | None = None
    """Name of the converter that makes safetensors of a foreign file; see :mod:`.converters`."""
    mirrors: tuple[str, ...] = ()
    """Further addresses of the same file, tried in this order."""
    manual: str = ""
    """How a person gets the file where no address serves it: whom to ask, what to download."""


@dataclass(frozen=True)
class Pretraining:
    """What the weights were trained on and how."""

    objective: str = "undeclared"
    """``none``, ``supervised``, ``simclr``, ...; ``undeclared`` when nobody said."""
    data: tuple[str, ...] = ()
    """Data set identifiers; they decide overlap with target tasks."""
    year: int | None = None
    """Year of publication."""


@dataclass(frozen=True)
class SourceModel:
    """A pretrained model one can start from."""

    name: str
    """``architecture.method_data`` as in timm."""
    architecture: Architecture
    """The network."""
    weights: WeightsFile | None
    """None for seeded random weights."""
    pretraining: Pretraining
    """Origin of the weights."""
    input: InputContract = field(default_factory=InputContract)
    """What the network expects."""
    input_from_library: bool = False
    """Whether the library's own configuration of the network replaces ``input`` when it is built."""
    licence: str = "unknown"
    """Licence of the weights."""
    citation: str = ""
    """Who to cite."""
    studies: tuple[str, ...] = ()
    """Published studies that used it: ``A``, ``B``, ``C``."""
    note: str = ""
    """What a reader of results must know, such as that it stands in for a file that was not published."""

    @property
    def is_random(self) -> bool:
        """Whether the network starts from seeded random weights."""
        return self.weights is None
