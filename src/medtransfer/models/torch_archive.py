"""Checks of a zip archive written by ``torch.save``, made before torch reads it."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from medtransfer.core.errors import UnsafeCheckpointError, WeightsError

MOST_ENTRIES = 100_000
MOST_BYTES = 20 * 2**30
MOST_RATIO = 100
MOST_PICKLE_BYTES = 64 * 2**20
_ENCRYPTED = 0x1
_BLOCK = 1 << 20


def check_torch_archive(path: Path) -> None:
    """Check the names, sizes and checksums of all entries.

    torch itself does not compare checksums, so that a flipped bit in a weight would go unseen.

    Raises:
        UnsafeCheckpointError: If the archive is built to show different readers different content.
        WeightsError: If it is damaged or larger than our caps.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_sizes(path, entries)
            _check_names(path, entries)
            for entry in entries:
                _read_through(archive, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"weights file {path.name}: expected a whole archive, got a damaged one ({error}). Get it again."
        ) from error


def _check_sizes(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    total, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if len(entries) > MOST_ENTRIES or total > MOST_BYTES or total > MOST_RATIO * max(packed, 1):
        raise WeightsError(
            f"weights file {path.name}: expected at most {MOST_ENTRIES:,} entries, {MOST_BYTES:,} bytes and "
            f"a compression of {MOST_RATIO} to 1, got {len(entries):,} entries of {total:,} bytes from "
            f"{packed:,}. It is not read."
        )


def _check_names(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = Counter(entry.filename for entry in entries)
    pickles = [e for e in entries if PurePosixPath(e.filename).suffix in {".pkl", ".pickle"}]
    if max(names.values(), default=0) > 1 or len(pickles) != 1:
        raise UnsafeCheckpointError(
            f"weights file {path.name}: expected one data.pkl and unique names, "
            f"got pickles {[e.filename for e in pickles][:5]!r} among {len(entries)} entries. "
            "Scripted and exported programs are not read; save the state dict as safetensors."
        )
    if pickles[0].file_size > MOST_PICKLE_BYTES or any(e.flag_bits & _ENCRYPTED for e in entries):
        raise UnsafeCheckpointError(
            f"weights file {path.name}: expected an open archive with a pickle of at most "
            f"{MOST_PICKLE_BYTES:,} bytes, got an encrypted one or {pickles[0].file_size:,}. It is not read."
        )


def _read_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Read an entry to its end, which compares its checksum."""
    with archive.open(entry) as stream:
        while stream.read(_BLOCK):
            pass
