"""Downloads of weights files: resumed where they broke off, checked, and visible only when whole."""

from __future__ import annotations

import contextlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlparse

from filelock import FileLock

from medtransfer.core.atomic import fsync_folder
from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.progress import Progress, no_progress
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import weights_file_name

CONNECTIONS = 5
"""Connections that are tried before a download is given up."""
TIMEOUT_S = 30.0
MOST_BYTES = 20 * 2**30
_BLOCK = 1 << 20


def fetch_weights(model: SourceModel, weights_folder: Path, *, progress: Progress = no_progress) -> Path:
    """Download a model's weights file into the weights folder unless it is there.

    Raises:
        UsageError: If the model declares no address.
        WeightsError: If the download fails or is not the declared file.
    """
    if model.weights is None or model.weights.url is None:
        raise UsageError(f"model {model.name!r}: expected an address to download from, got none declared.")
    target = weights_folder / Path(weights_file_name(model.weights)).name
    return download(model.weights.url, target, sha256=model.weights.sha256, progress=progress)


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
        UsageError: If the address is not http or https.
        WeightsError: If the download fails repeatedly, or the file is another one.
    """
    if urlparse(url).scheme not in {"http", "https"}:
        raise UsageError(f"download: expected an address of http or https, got {url!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file() and (sha256 is None or hash_file(target) == sha256):
            return target
        if sha256 is None:
            part.unlink(missing_ok=True)
        _Transfer(url, part, progress).run()
        _require_digest(url, part, sha256)
        part.replace(target)
        fsync_folder(target.parent)
    return target


@dataclass
class _Transfer:
    """One file on its way, over several connections if need be."""

    url: str
    part: Path
    progress: Progress
    version: str = ""
    """Entity tag of the first answer, so that parts of two versions are never joined."""

    def run(self) -> None:
        """Fill ``part`` up to the length the server states."""
        reason = ""
        for _ in range(CONNECTIONS):
            try:
                if self._connect_once():
                    return
                reason = "the connection ended early"
            except urllib.error.HTTPError as error:
                raise WeightsError(
                    f"download {self.url}: expected the file, got HTTP {error.code} {error.reason}. "
                    "Check the address."
                ) from error
            except (OSError, HTTPException) as error:
                reason = str(error)
        raise WeightsError(
            f"download {self.url}: expected the whole file, got {self._arrived():,} bytes ({reason}). "
            "Run again to go on from there."
        )

    def _connect_once(self) -> bool:
        """Append what one connection gives; return whether the file is whole."""
        try:
            response = self._request()
        except urllib.error.HTTPError as error:
            if error.code == 416 and self._arrived():
                self.part.unlink()
                return False
            raise
        resumed = response.status == 206
        with response, self.part.open("ab" if resumed else "wb") as stream:
            arrived = self._arrived() if resumed else 0
            total = arrived + int(response.headers.get("Content-Length", 0))
            self._require_file(response, total)
            self.version = response.headers.get("ETag", "")
            arrived = self._copy(response, stream, arrived, total)
            stream.flush()
            os.fsync(stream.fileno())
        return arrived > 0 and arrived >= total

    def _request(self) -> HTTPResponse:
        headers = {"Range": f"bytes={self._arrived()}-"} if self._arrived() else {}
        if headers and self.version:
            headers["If-Range"] = self.version
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 (scheme was checked)
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
        return response

    def _require_file(self, response: HTTPResponse, total: int) -> None:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise WeightsError(
                f"download {self.url}: expected a file, got a web page. The publisher asks for a click or a "
                "login: download it by hand into the weights folder."
            )
        if total > MOST_BYTES:
            raise self._too_large(total)

    def _copy(self, response: HTTPResponse, stream: IO[bytes], arrived: int, total: int) -> int:
        with contextlib.suppress(HTTPException, ConnectionError, TimeoutError):
            while block := response.read(_BLOCK):
                stream.write(block)
                arrived += len(block)
                if arrived > MOST_BYTES:
                    raise self._too_large(arrived)
                self.progress("download", arrived, max(arrived, total))
        return arrived

    def _too_large(self, size: int) -> WeightsError:
        return WeightsError(f"download {self.url}: expected at most {MOST_BYTES:,} bytes, got {size:,}.")

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0


def _require_digest(url: str, part: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = hash_file(part)
    if found != sha256:
        part.unlink()
        raise WeightsError(
            f"download {url}: expected SHA-256 {sha256}, got {found}. What arrived was removed; the "
            "publisher may have replaced the file."
        )
