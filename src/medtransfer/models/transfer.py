"""One file over as many connections as it takes: each goes on where the one before broke off."""

from __future__ import annotations

import contextlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from medtransfer.core.errors import WeightsError
from medtransfer.core.progress import Progress

CONNECTIONS = 5
"""Connections that are tried before a download is given up."""
NO_ACCESS = (401, 403)
"""Answers to somebody who has to sign in or to accept terms first."""
TIMEOUT_S = 30.0
MOST_BYTES = 20 * 2**30
_BLOCK = 1 << 20


@dataclass
class Transfer:
    """One file on its way, over several connections if need be."""

    url: str
    """Address."""
    part: Path
    """Where what has arrived lies; an earlier part is gone on from."""
    progress: Progress
    """Told the bytes that have arrived."""
    version: str = ""
    """Entity tag of the first answer, so that parts of two versions are never joined."""

    def run(self) -> None:
        """Fill ``part`` up to the length the server states.

        Raises:
            WeightsError: If the server has no such file, sends a web page, or breaks off again and again.
        """
        reason = ""
        for _ in range(CONNECTIONS):
            try:
                if self._connect_once():
                    return
                reason = "the connection ended early"
            except urllib.error.HTTPError as error:
                step = (
                    "The publisher wants to know who asks: get it by hand with an account."
                    if error.code in NO_ACCESS
                    else "Check the address."
                )
                raise WeightsError(
                    f"download {self.url}: expected the file, got HTTP {error.code} {error.reason}. {step}"
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
        if resumed and not self._goes_on(response):
            response.close()
            self.part.unlink(missing_ok=True)
            return False
        with response, self.part.open("ab" if resumed else "wb") as stream:
            arrived = self._arrived() if resumed else 0
            total = arrived + int(response.headers.get("Content-Length", 0))
            self._require_file(response, total)
            self.version = response.headers.get("ETag", "")
            arrived = self._copy(response, stream, arrived, total)
            stream.flush()
            os.fsync(stream.fileno())
        return arrived > 0 and arrived >= total

    def _goes_on(self, response: HTTPResponse) -> bool:
        """Return whether a partial answer begins where we stopped, as far as it says."""
        said = response.headers.get("Content-Range", "")
        return not said or said.replace("=", " ").startswith(f"bytes {self._arrived()}-")

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
