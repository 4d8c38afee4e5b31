"""Bring the weights of a model to where it is loaded from: downloaded, or converted from a foreign file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from medtransfer.cli.display import Display
from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.download import fetch_weights
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import converted_file_name, file_hash, weights_hash


def fetched(model: SourceModel, weights_folder: Path | None) -> dict[str, Any]:
    """Download the weights of a model unless they are there.

    Args:
        model: Weights in a file go into the weights folder, those of a library into its own cache.
        weights_folder: Where files go.

    Returns:
        What was fetched and where it is, as a JSON object.

    Raises:
        UsageError: If the model has random weights, or a file and no weights folder.
        WeightsError: If the weights cannot be fetched.
    """
    if model.weights is None:
        raise UsageError(f"model {model.name!r}: expected pretrained weights to fetch, got random ones.")
    if model.weights.hub is not None:
        from medtransfer.models.hub_weights import hub_state

        hub_state(model, model.architecture, 0)
        return {"name": model.name, "file": None, "weights": weights_hash(model, None)}
    folder = _required(weights_folder, "fetch")
    with Display() as display:
        file = fetch_weights(model, folder, progress=display.step)
    return {"name": model.name, "file": str(file), "weights": file_hash(file)}


def convert_into(name: str, file: Path, weights_folder: Path | None) -> dict[str, Any]:
    """Convert a foreign file into the safetensors file a source model loads, below the weights folder.

    Args:
        name: Source model.
        file: The publisher's file.
        weights_folder: Where the result goes.

    Returns:
        The report of the conversion as a JSON object.

    Raises:
        UsageError: If the model has no weights in a file, or there is no weights folder.
        WeightsError: If the file cannot be converted, or does things a weights file has no need to do.
    """
    from medtransfer.models.converters.convert import convert_checkpoint

    model = resolve_model(name)
    folder = _required(weights_folder, "convert")
    if model.weights is None or model.weights.hub is not None:
        raise UsageError(f"model {name!r}: expected weights in a file to convert, got none declared.")
    return asdict(convert_checkpoint(model, file, folder / converted_file_name(model.weights)))


def _required(weights_folder: Path | None, command: str) -> Path:
    if weights_folder is None:
        raise UsageError(
            f"models {command}: expected a weights folder, got none. Name it with --weights or "
            "MEDTRANSFER_WEIGHTS."
        )
    return weights_folder
