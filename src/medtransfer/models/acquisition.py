"""How the weights of a source model are got and what becomes of them, in words; no torch here."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlparse

from medtransfer.models.source_model import SourceModel, WeightsFile

_RULES = (
    "container",
    "containers",
    "prefix",
    "strip",
    "ignore",
    "scheme",
    "rename",
    "drop",
    "adapt",
    "converter",
    "gaps",
)
"""Fields of a weights file that say how its names become the network's, in the order of their use."""


def adapter_rules(weights: WeightsFile | None) -> dict[str, Any]:
    """Return the rules of a weights file that differ from none, by field.

    Example:
        >>> adapter_rules(WeightsFile(file="w.pth", container="state_dict", prefix="module."))
        {'container': 'state_dict', 'prefix': 'module.'}
    """
    if weights is None:
        return {}
    defaults = {field.name: field.default for field in fields(WeightsFile)}
    stated = asdict(weights)
    return {name: stated[name] for name in _RULES if getattr(weights, name) != defaults[name]}


def is_tried(weights: WeightsFile) -> bool:
    """Return whether the file itself was at hand when the record was written, as its SHA-256 being known shows.

    Of the others the address, the names and the shapes are what was published about them.
    """
    return weights.hub is not None or weights.sha256 is not None


def how_to_get(model: SourceModel) -> tuple[str, ...]:
    """Return the steps to the weights of a model, one sentence each."""
    weights = model.weights
    if weights is None:
        return ("Nothing to get: the weights are random numbers.",)
    if weights.hub is not None:
        library = model.architecture.library
        text = f"{library} downloads {weights.hub!r} at first use."
        return (f"{text} {weights.manual}".rstrip(), f"Ahead of time: medtransfer models fetch {model.name}")
    return (*_source(model, weights), *_conversion(model, weights), *_doubt(weights))


def _source(model: SourceModel, weights: WeightsFile) -> tuple[str, ...]:
    if weights.url:
        mirrors = f" (or {', '.join(weights.mirrors)})" if weights.mirrors else ""
        fetch = f"medtransfer models fetch {model.name} --weights DIR downloads {weights.url}{mirrors}."
        return (fetch, weights.manual) if weights.manual else (fetch,)
    name = file_to_get(weights)
    if weights.converter is not None:
        return (weights.manual or "Get the publisher's file.",)
    return tuple(filter(None, (weights.manual, f"Put {name} into the weights folder.")))


def _doubt(weights: WeightsFile) -> tuple[str, ...]:
    if is_tried(weights):
        return ()
    what = "neither the address nor the file was tried" if weights.url else "the file was not tried"
    return (f"Untried: {what} when this record was written, so its SHA-256 is not known.",)


def _conversion(model: SourceModel, weights: WeightsFile) -> tuple[str, ...]:
    if weights.converter is None:
        return ()
    command = f"medtransfer models convert {model.name} FILE --weights DIR"
    return (f"Then: {command} (converter {weights.converter!r}, in a process of its own).",)


def file_to_get(weights: WeightsFile) -> str:
    """Return the name of the file a person looks for: the declared one, else the last part of the address."""
    return weights.file or PurePosixPath(urlparse(weights.url or "").path).name or "the file"
