"""Weights that timm or torchvision download, and the input contracts those libraries state for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from medtransfer.core.errors import NotRegisteredError, UsageError, WeightsError
from medtransfer.models.offline import hub_as_declared, is_offline
from medtransfer.models.seeded_initialisation import seeded_initialisation
from medtransfer.models.source_model import Architecture, InputContract, SourceModel


def contract_of(model: SourceModel) -> InputContract:
    """Return the input contract of a model, asking the library where the model leaves it to that.

    Raises:
        NotRegisteredError: If the library has no weights of that tag.
    """
    if not model.input_from_library:
        return model.input
    identifier = _identifier(model)
    if model.architecture.library == "timm":
        return _timm_contract(identifier)
    if model.weights is not None and model.architecture.library == "torchvision":
        return _torchvision_contract(_torchvision_weights(identifier))
    return model.input


def hub_state(model: SourceModel, architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Return the tensors of weights a library downloads or has in its cache.

    Args:
        model: A model with a hub identifier.
        architecture: Its architecture, for the library's options.
        seed: Seed of what the library draws before it reads the weights. With the seed of the network
            the tensors are compared with, whatever the library left random is found to be unchanged.

    Raises:
        WeightsError: If the weights cannot be fetched.
        NotRegisteredError: If the library has no weights of that tag.
    """
    identifier = _identifier(model)
    try:
        with hub_as_declared():
            return _fetched(identifier, architecture, seed)
    except (OSError, RuntimeError) as error:
        text = str(error).strip().rstrip(".")
        step = (
            "Connections are switched off: allow them once" if is_offline() else "Run once with a connection"
        )
        raise WeightsError(
            f"model {model.name!r}: expected {architecture.library} to fetch its weights, got: {text}. "
            f"{step} so that they are cached, or declare a model with a file of your own."
        ) from error


def _fetched(identifier: str, architecture: Architecture, seed: int) -> dict[str, Tensor]:
    if architecture.library != "torchvision":
        return _timm_state(identifier, dict(architecture.options), seed)
    weights = _torchvision_weights(identifier)
    _require_cached(weights.url)
    state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    return state


def _require_cached(url: str) -> None:
    """Raise while offline unless torch's own cache holds the file of an address."""
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if is_offline() and not place.is_file():
        raise OSError(f"no copy at {place}, and connections are switched off")


def _timm_state(identifier: str, options: dict[str, Any], seed: int) -> dict[str, Tensor]:
    import timm

    config = _timm_config(identifier)
    if config is not None and not config.hf_hub_id and config.url:
        _require_cached(config.url)
    with seeded_initialisation(seed):
        network = timm.create_model(identifier, pretrained=True, num_classes=0, **options)
    state: dict[str, Tensor] = network.state_dict()
    return state


def _timm_contract(identifier: str) -> InputContract:
    config = _timm_config(identifier)
    if config is None:
        return InputContract()
    channels, size, _ = config.input_size
    return InputContract(
        size=size,
        channels=channels,
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation=config.interpolation,
    )


def _timm_config(identifier: str) -> Any:
    import timm

    try:
        return timm.get_pretrained_cfg(identifier, allow_unregistered=True)
    except RuntimeError as error:
        base = identifier.partition(".")[0]
        tags = sorted(timm.list_pretrained(f"{base}.*"))
        raise NotRegisteredError(
            f"model 'timm/{identifier}': expected one of {tags[:5]!r}, got a tag timm does not know."
        ) from error


def _torchvision_contract(weights: Any) -> InputContract:
    preset = weights.transforms()
    return InputContract(
        size=preset.crop_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _torchvision_weights(identifier: str) -> Any:
    from torchvision.models import get_model_weights

    builder, _, tag = identifier.partition(".")
    known = get_model_weights(builder)
    if tag and tag not in known.__members__:
        raise NotRegisteredError(
            f"model 'torchvision/{identifier}': expected a tag of {sorted(known.__members__)[:5]!r}, "
            f"got {tag!r}."
        )
    return known[tag] if tag else known.DEFAULT


def _identifier(model: SourceModel) -> str:
    hub = model.weights.hub if model.weights is not None else model.architecture.builder
    if hub is None:
        raise UsageError(f"model {model.name!r}: expected weights of a library, got a file.")
    return hub.rpartition("/")[2]
