"""The files of a report before they are written: all of them, so that none is written when one cannot be made."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

_FAST = 1
_LETTERS_AT_ONCE = 1 << 16
_BYTES_AT_ONCE = 1 << 16


class RenderedFiles(Mapping[str, bytes]):
    """Contents by address, texts compressed: pages and tables shrink to less than a tenth.

    Example:
        >>> files = RenderedFiles()
        >>> files.add_text("a.txt", ["one, ", "two"])
        >>> dict(files)
        {'a.txt': b'one, two'}
    """

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._pictures: dict[str, bytes] = {}

    def add_text(self, address: str, parts: Iterable[str]) -> None:
        """Take a text, part by part.

        Args:
            address: Where it will lie, from the folder of the report.
            parts: The text in pieces of any length, in order.
        """
        packer = zlib.compressobj(_FAST)
        packed = [packer.compress(part.encode()) for part in _gathered(parts)]
        self._texts[address] = b"".join([*packed, packer.flush()])

    def add_picture(self, address: str, content: bytes) -> None:
        """Take a picture, which is compressed already."""
        self._pictures[address] = content

    def parts(self, address: str) -> Iterator[bytes]:
        """Yield a content piece by piece, none of them large."""
        if address in self._pictures:
            yield self._pictures[address]
            return
        packed, unpacker = self._texts[address], zlib.decompressobj()
        for start in range(0, len(packed), _BYTES_AT_ONCE):
            yield unpacker.decompress(packed[start : start + _BYTES_AT_ONCE])
        yield unpacker.flush()

    def __getitem__(self, address: str) -> bytes:
        return b"".join(self.parts(address))

    def __iter__(self) -> Iterator[str]:
        return chain(self._pictures, self._texts)

    def __len__(self) -> int:
        return len(self._pictures) + len(self._texts)


def _gathered(parts: Iterable[str]) -> Iterator[str]:
    """Yield the same text in pieces that are worth a call each."""
    waiting: list[str] = []
    letters = 0
    for part in parts:
        waiting.append(part)
        letters += len(part)
        if letters >= _LETTERS_AT_ONCE:
            yield "".join(waiting)
            waiting, letters = [], 0
    yield "".join(waiting)
