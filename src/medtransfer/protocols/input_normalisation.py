"""Inputs normalised otherwise than the source model was trained with, for comparison with studies that do so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.fingerprints import hash_array, hash_json
from medtransfer.core.task_kind import TaskKind
from medtransfer.features.array_files import open_arrays
from medtransfer.models.source_model import IMAGENET_MEAN, IMAGENET_STD, InputContract, SourceModel
from medtransfer.protocols.transfer_protocol import Bench, Transfer

Normalization = Literal["model", "study", "imagenet", "chest-xray", "minmax"]
"""``model``: what the source model expects. ``study``: mean and std of this study's own training images.
``imagenet`` and ``chest-xray``: fixed numbers. ``minmax``: every image stretched to [0, 1]."""

NORMALIZATION_HELP = (
    "How inputs are normalised: model (as the source model was trained), study (mean and std of the training "
    "split's images), imagenet, chest-xray or minmax (each image stretched to [0, 1])."
)

CHEST_XRAY_MEAN = 0.5056
CHEST_XRAY_STD = 0.252
"""Of chest X-rays in [0, 1]; the other normalisation that published comparisons could choose."""

REVISION = 1
"""Raised whenever the same images would give other moments."""

_CASES_AT_ONCE = 16
"""Images summed up in one step; bounds memory."""

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PixelMoments:
    """First and second moments of the pixels of some images, in units of [0, 1]."""

    mean: FloatArray
    """(C,) of each channel."""
    covariance: FloatArray
    """(C, C) between channels, divided by the number of pixels."""

    @property
    def std(self) -> FloatArray:
        """Standard deviation of each channel, (C,)."""
        return np.sqrt(np.diag(self.covariance))

    def combined(self, weights: npt.ArrayLike) -> PixelMoments:
        """Return the moments of the one channel that is a weighted sum of these.

        Args:
            weights: (C,).
        """
        factors = np.asarray(weights, dtype=np.float64)
        return PixelMoments(
            np.atleast_1d(factors @ self.mean), np.atleast_2d(factors @ self.covariance @ factors)
        )


def pixel_moments(images: npt.NDArray[np.uint8], rows: IndexArray) -> PixelMoments:
    """Return the moments of all pixels of some images; sums are exact, so order does not matter.

    Args:
        images: uint8 (N, H, W, C).
        rows: Images that count, at least one.

    Example:
        >>> found = pixel_moments(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), np.array([0, 1]))
        >>> found.mean.tolist(), found.std.tolist()
        ([0.5], [0.5])
    """
    channels = images.shape[-1]
    total, squares, pixels = np.zeros(channels), np.zeros((channels, channels)), 0
    for start in range(0, len(rows), _CASES_AT_ONCE):
        values = images[rows[start : start + _CASES_AT_ONCE]].reshape(-1, channels).astype(np.float64)
        total += values.sum(axis=0)
        squares += values.T @ values
        pixels += len(values)
    mean = total / pixels
    covariance = squares / pixels - np.outer(mean, mean)
    return PixelMoments(mean / 255, covariance / 255**2)


class NormalisedProtocol(Protocol):
    """The part of a protocol that says what its networks see."""

    @property
    def normalization(self) -> Normalization:
        """How inputs are normalised."""

    def decoded_side(self, kind: TaskKind, own_size: int) -> int:
        """Return the side in pixels at which images are kept; their pixels are what ``study`` measures."""


def fit_normalised(
    settings: NormalisedProtocol, bench: Bench, fit: Callable[[Bench], Iterator[Transfer]]
) -> Iterator[Transfer]:
    """Yield the transfers of a bench whose source model gets its inputs normalised as asked.

    The source model's input contract is replaced, so everything that depends on it follows: the network's
    input, and the key of its embeddings.

    Args:
        settings: What to do; ``model`` changes nothing.
        bench: Cases and source model.
        fit: Gives the transfers of a bench.

    Raises:
        TrialError: If the training images are all of one value.
        UsageError: If the network's channels are not those the numbers are for.
    """
    if settings.normalization == "model":
        yield from fit(bench)
        return
    model = normalised_model(settings, bench)
    used = {"normalization": {"rule": settings.normalization, **_as_facts(model.input)}}
    for transfer in fit(replace(bench, model=model)):
        yield replace(transfer, details={**transfer.details, **used})


def normalised_model(settings: NormalisedProtocol, bench: Bench) -> SourceModel:
    """Return the bench's source model with another input contract; see :func:`fit_normalised`."""
    from medtransfer.models.hub_weights import contract_of

    contract = contract_of(bench.model)
    if settings.normalization == "study":
        side = settings.decoded_side(bench.cases.kind, contract.size)
        moments = _moments_for(contract, bench, side)
        contract = replace(
            contract,
            mean=_per_channel(moments.mean, contract.channels),
            std=_per_channel(moments.std, contract.channels),
            value_range="unit",
        )
    elif settings.normalization != "model":
        contract = _fixed(settings.normalization, contract, bench.model.name)
    return replace(bench.model, input=contract, input_from_library=False)


def _fixed(normalization: Normalization, contract: InputContract, name: str) -> InputContract:
    channels = contract.channels
    if normalization == "minmax":
        return replace(contract, mean=(0.0,) * channels, std=(1.0,) * channels, value_range="minmax")
    if normalization == "chest-xray":
        mean, std = (CHEST_XRAY_MEAN,) * channels, (CHEST_XRAY_STD,) * channels
        return replace(contract, mean=mean, std=std, value_range="unit")
    if channels != len(IMAGENET_MEAN):
        raise UsageError(
            f"normalization 'imagenet': expected a network of {len(IMAGENET_MEAN)} channels, got {name!r} with "
            f"{channels}. Use 'study' or 'model'."
        )
    return replace(contract, mean=IMAGENET_MEAN, std=IMAGENET_STD, value_range="unit")


def _moments_for(contract: InputContract, bench: Bench, side: int) -> PixelMoments:
    """Return the moments of the training images as a network of the contract's channels sees them."""
    from medtransfer.models.input_transform import LUMA

    moments = training_moments(bench, side)
    if len(moments.mean) == 3 and contract.channels == 1:
        moments = moments.combined(LUMA)
    if not (moments.std > 0).all():
        raise TrialError(
            "constant_images",
            f"task {bench.task!r}: expected training images that vary in every channel, got a standard deviation "
            "of 0. Use 'normalization: model' or check the images.",
        )
    return moments


def training_moments(bench: Bench, side: int) -> PixelMoments:
    """Return the moments of all images of the training split, kept on disk beside the decoded images.

    The whole split counts whatever the label fraction is: a fraction takes labels away, not images.

    Args:
        bench: Cases and caches.
        side: Side in pixels at which the images are kept.
    """
    cache = bench.open_decoded_cache(side)
    train = bench.cases.indices("train")
    key = hash_json({"moments": REVISION, "decoded": cache.key, "rows": hash_array(train)})

    def measured() -> dict[str, npt.NDArray[Any]]:
        return asdict(pixel_moments(cache.images, train))

    return PixelMoments(**open_arrays(bench.cache_folder / "moments", key, measured))


def _per_channel(values: FloatArray, channels: int) -> tuple[float, ...]:
    """Return one value per channel of the network; that of a grey image counts for all."""
    found = values.tolist()
    return tuple(found * channels if len(found) == 1 else found)


def _as_facts(contract: InputContract) -> dict[str, Any]:
    return {
        "mean": list(contract.mean),
        "std": list(contract.std),
        "value_range": contract.value_range,
    }
