"""How a model's weights file comes into the weights folder: from this machine, an address, or by hand.

A download is resumed where it broke off, checked, and visible only when whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlparse

from filelock import FileLock

from medtransfer.core.atomic import fsync_folder, write_atomically
from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.progress import Progress, no_progress
from medtransfer.models.kept_copies import keep_copy, link_kept
from medtransfer.models.offline import require_connection
from medtransfer.models.source_model import SourceModel, WeightsFile
from medtransfer.models.transfer import CONNECTIONS, Transfer
from medtransfer.models.weights_files import DIGESTS, first_digest, place_in_folder
from medtransfer.models.weights_format import described, first_bytes, is_web_page

__all__ = ["CONNECTIONS", "download", "fetch_weights"]


def fetch_weights(model: SourceModel, weights_folder: Path, *, progress: Progress = no_progress) -> Path:
    """Bring a model's weights file into the weights folder unless it is there.

    A file this machine has under its digest is linked; else the address is tried, then the mirrors in their
    order. The digest of a file for which none is declared is remembered, and asked of it from then on.

    Args:
        model: A model whose weights are a file.
        weights_folder: Where the file is to be.
        progress: Told the bytes that have arrived.

    Raises:
        UsageError: If a library or a person has to get the file, or no connection may be made.
        WeightsError: If every address fails, or gives another file than the declared one.
    """
    if model.weights is None or model.weights.hub is not None:
        raise UsageError(f"model {model.name!r}: expected weights in a file to fetch, got none declared.")
    name = place_in_folder(model.weights)
    target = weights_folder / name
    sha256 = model.weights.sha256 or first_digest(weights_folder, name.as_posix())
    if target.is_file() and (sha256 is None or hash_file(target) == sha256):
        return target
    if sha256 is None or not link_kept(sha256, target):
        _download(model, model.weights, target, sha256, progress)
        found = hash_file(target)
        keep_copy(target, found)
        if sha256 is None:
            _remember(weights_folder, name.as_posix(), found)
    return target


def _download(
    model: SourceModel, weights: WeightsFile, target: Path, sha256: str | None, progress: Progress
) -> None:
    addresses = tuple(url for url in (weights.url, *weights.mirrors) if url)
    if not addresses:
        raise UsageError(
            f"model {model.name!r}: expected an address to download from, got none declared. "
            f"{_by_hand(weights, target)}"
        )
    require_connection(f"model {model.name!r}", _by_hand(weights, target))
    failures = []
    for url in addresses:
        try:
            download(url, target, sha256=sha256, progress=progress)
        except WeightsError as error:
            failures.append(str(error))
        else:
            return
    if len(addresses) > 1:
        failures.insert(0, f"model {model.name!r}: expected its file from one of {len(addresses)}, got none.")
    raise WeightsError(" ".join((*failures, _by_hand(weights, target))))


def _by_hand(weights: WeightsFile, target: Path) -> str:
    """Return what to get from where and where to put it, in words."""
    source = weights.manual or (f"Download {weights.url}." if weights.url else "Ask its publisher.")
    return f"{source} Put it at {target}."


def _remember(folder: Path, name: str, sha256: str) -> None:
    path = folder / DIGESTS
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_atomically(path, json.dumps({**known, name: sha256}, indent=1, sort_keys=True) + "\n")


def download(url: str, target: Path, *, sha256: str | None = None, progress: Progress = no_progress) -> Path:
    """Download a file; a connection that breaks is taken up where it broke.

    Args:
        url: Address, http or https.
        target: Final place. It comes into being whole and checked, or not at all; what has arrived so
            far lies beside it with the ending ``.part``, and a later call goes on from there.
        sha256: Digest the file must have; None when unknown. Without it nothing tells whether an
            earlier part is of the same file, so a later call starts again.
        progress: Told the bytes that have arrived.

    Returns:
        ``target``.

    Raises:
        UsageError: If the address is not http or https, or no connection may be made.
        WeightsError: If the download fails repeatedly, or the file is another one.
    """
    if urlparse(url).scheme not in {"http", "https"}:
        raise UsageError(f"download: expected an address of http or https, got {url!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file() and (sha256 is None or hash_file(target) == sha256):
            return target
        require_connection(f"download {url}", f"Put the file at {target} by hand.")
        if sha256 is None:
            part.unlink(missing_ok=True)
        Transfer(url, part, progress).run()
        _require_digest(url, part, sha256)
        _require_no_page(url, part)
        part.replace(target)
        fsync_folder(target.parent)
    return target


def _require_digest(url: str, part: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = hash_file(part)
    if found != sha256:
        _require_no_page(url, part)
        part.unlink()
        raise WeightsError(
            f"download {url}: expected SHA-256 {sha256}, got {found}. What arrived was removed; the "
            "publisher may have replaced the file."
        )


def _require_no_page(url: str, part: Path) -> None:
    start = first_bytes(part)
    if is_web_page(start) or not start:
        part.unlink()
        raise WeightsError(
            f"download {url}: expected a file, got {described(start)}. Download it by hand into the weights "
            "folder."
        )
