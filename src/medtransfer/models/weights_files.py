"""Where weights files lie and what their content hashes are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from medtransfer.core.errors import WeightsError
from medtransfer.core.fingerprints import hash_file
from medtransfer.models.safetensors_header import check_safetensors, conversion_record
from medtransfer.models.source_model import SourceModel, WeightsFile
from medtransfer.models.weights_format import first_bytes

RANDOM = "random"
HUB_PREFIX = "hub:"
CONVERTED_SUFFIX = ".safetensors"
DIGESTS = "weights-digests.json"
"""File of a weights folder with the digests that files had when they were first fetched, by name."""


def weights_hash(model: SourceModel, weights_folder: Path | None) -> str:
    """Return what identifies the weights a model starts from.

    Returns:
        ``random``, ``hub:<identifier>`` for weights a library downloads, or the SHA-256 hex digest
        of the weights file.

    Raises:
        WeightsError: If the file is missing or is not the declared one.
    """
    if model.weights is None:
        return RANDOM
    if model.weights.hub is not None:
        return HUB_PREFIX + model.weights.hub
    return file_hash(locate_weights(model, weights_folder))


def locate_weights(model: SourceModel, weights_folder: Path | None) -> Path:
    """Return the path of a model's weights file, after checking its digest where one is declared.

    The file is looked for by name in the weights folder, one level below it, and, for models
    declared with a path, at that path. A safetensors file that our own conversion made of it takes its
    place.

    Raises:
        WeightsError: If it is nowhere, if several files have its name, if its digest is wrong, or if it has
            to be converted first.
    """
    if model.weights is None or model.weights.hub is not None:
        raise WeightsError(f"model {model.name!r}: expected weights in a file, got none declared.")
    found = list(_candidates(weights_file_name(model.weights), weights_folder))
    converted = _converted(model.weights, found, weights_folder)
    if converted:
        return _the_right_one(model, None, converted)
    if not found:
        raise WeightsError(_absent(model, model.weights, weights_folder))
    expected = model.weights.sha256 or first_digest(weights_folder, place_in_folder(model.weights).as_posix())
    chosen = _the_right_one(model, expected, found)
    if model.weights.converter is not None and not is_converted(chosen):
        raise WeightsError(
            f"model {model.name!r}: expected {converted_file_name(model.weights)!r}, got only {chosen}, which "
            f"no safe reader understands. Run 'medtransfer models convert {model.name} {chosen}'."
        )
    return chosen


def first_digest(folder: Path | None, name: str) -> str | None:
    """Return the SHA-256 hex digest a file of a weights folder had when it was first fetched, if known.

    Raises:
        WeightsError: If the list of digests is damaged.
    """
    if folder is None or not (folder / DIGESTS).is_file():
        return None
    try:
        known = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        digest = known.get(name)
    except (ValueError, AttributeError) as error:
        raise WeightsError(
            f"weights folder {folder}: expected digests by file name in {DIGESTS}, got {error}. Remove it."
        ) from error
    return digest if isinstance(digest, str) else None


def converted_file_name(weights: WeightsFile) -> str:
    """Return where a conversion puts the safetensors file, below the weights folder."""
    return place_in_folder(weights).with_suffix(CONVERTED_SUFFIX).as_posix()


def place_in_folder(weights: WeightsFile) -> PurePosixPath:
    """Return where a weights file lies below the weights folder; a path elsewhere gives its last part."""
    name = PurePosixPath(weights_file_name(weights))
    return PurePosixPath(name.name) if name.is_absolute() or ".." in name.parts else name


def is_converted(path: Path) -> bool:
    """Return whether a file is safetensors: nothing is left to convert."""
    return first_bytes(path)[8:9] == b"{"


def weights_file_name(weights: WeightsFile) -> str:
    """Return the declared file name or path, or the last part of the download address.

    Raises:
        WeightsError: If neither is declared.
    """
    name = weights.file or PurePosixPath(urlparse(weights.url or "").path).name
    if not name:
        raise WeightsError("weights: expected a file name or an address that ends in one, got neither.")
    return name


def file_hash(path: Path) -> str:
    """Return the SHA-256 hex digest of a file; unchanged files are read once per process."""
    facts = path.stat()
    return _hash_of(path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


@lru_cache(maxsize=1024)
def _hash_of(path: Path, size: int, modified_ns: int, changed_ns: int) -> str:  # noqa: ARG001 (part of the key)
    return hash_file(path)


def _candidates(name: str, folder: Path | None) -> Iterator[Path]:
    places = [Path(name)] if len(Path(name).parts) > 1 else []
    if folder is not None and not Path(name).is_absolute():
        below = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        places = [folder / name, *(path / name for path in below), *places]
    seen = dict.fromkeys(path.resolve() for path in places if path.is_file())
    yield from seen


def _converted(weights: WeightsFile, originals: list[Path], folder: Path | None) -> list[Path]:
    """Return the files our conversion made of the declared one, or of the one that lies there."""
    name = str(Path(weights_file_name(weights)).with_suffix(CONVERTED_SUFFIX))
    wanted = {weights.sha256} if weights.sha256 is not None else {file_hash(path) for path in originals}
    found = []
    for path in _candidates(name, folder):
        is_declared = path in originals and weights.sha256 is None
        record = {} if is_declared else _record_of(path)
        if record and (not wanted or record.get("source_sha256") in wanted):
            found.append(path)
    return found


def _record_of(path: Path) -> dict[str, Any]:
    return conversion_record(check_safetensors(path)) if is_converted(path) else {}


def _the_right_one(model: SourceModel, sha256: str | None, found: list[Path]) -> Path:
    if sha256 is None:
        if len(found) > 1:
            listed = ", ".join(str(path) for path in found[:5])
            raise WeightsError(
                f"model {model.name!r}: expected one weights file of its name, got {len(found)}: {listed}. "
                "Remove the others or declare sha256."
            )
        return found[0]
    right = [path for path in found if file_hash(path) == sha256]
    if not right:
        raise WeightsError(
            f"model {model.name!r}: expected weights with SHA-256 {sha256}, got {file_hash(found[0])} in "
            f"{found[0]}. The file is damaged or another one; get it again."
        )
    return right[0]


def _absent(model: SourceModel, weights: WeightsFile, folder: Path | None) -> str:
    name = weights_file_name(weights)
    if folder is None:
        where, step = "no weights folder", "Name its folder with --weights or MEDTRANSFER_WEIGHTS"
    elif not folder.is_dir():
        where, step = f"no folder at {folder}", "Check --weights or MEDTRANSFER_WEIGHTS"
    else:
        where, step = f"no such file in {folder} or one level below", f"Put it into {folder}"
    return f"model {model.name!r}: expected the weights file {name!r}, got {where}. {step}.{_source(weights)}"


def _source(weights: WeightsFile) -> str:
    """Return where a file comes from, as sentences after a blank."""
    parts = [f"Its source is {weights.url}." if weights.url else "", weights.manual]
    if weights.converter is not None:
        parts.append("It is converted once with 'medtransfer models convert'.")
    return "".join(f" {part}" for part in parts if part)
