"""Per-case predictions as Parquet files named by their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import StoreError, TrialError
from medtransfer.core.fingerprints import hash_file
from medtransfer.store.write_errors import file_errors

if TYPE_CHECKING:
    import pandas as pd

_FOLDER = "predictions"
NEXT_STEP = (
    "Restore the file from a backup, or run the study again with --retry-failed: trials whose predictions are "
    "missing or damaged are computed again."
)
"""What can be done about a file that is missing or changed."""


@dataclass(frozen=True)
class PredictionFile:
    """A file that is to be written."""

    name: str
    """Path relative to the artifact folder, the same for the same content."""
    sha256: str
    """Digest of the content."""
    content: bytes
    """The Parquet bytes."""


def encode_predictions(frame: pd.DataFrame) -> PredictionFile:
    """Return a table of predictions as compressed Parquet; equal tables give equal bytes.

    Args:
        frame: One row per case; named columns of numbers or text. The index is not kept.

    Raises:
        TrialError: If a column cannot be stored, such as text that UTF-8 cannot hold.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise TrialError(
            "unstorable_predictions", f"predictions: expected columns of numbers or UTF-8 text, got {error}."
        ) from error
    buffer = BytesIO()
    parquet.write_table(table, buffer, compression="zstd", version="2.6")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    return PredictionFile(f"{_FOLDER}/{digest}.parquet", digest, content)


class PredictionFolder:
    """The artifact folder of one store.

    Args:
        root: The folder; made when the first file is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, file: PredictionFile) -> None:
        """Write a file so that it is whole and durable, or not there.

        Raises:
            StoreError: If the disk is full or the folder cannot be written.
        """
        path = self.root / file.name
        with file_errors(path):
            write_atomically(path, file.content)

    def read(self, name: str, sha256: str) -> pd.DataFrame:
        """Return the table of a file whose digest is right.

        Raises:
            StoreError: If the file is missing or its content is not what was written.
        """
        import pyarrow as pa
        from pyarrow import parquet

        path = self.root / name
        fault = self._misplaced(name)
        if fault is None:
            with file_errors(path):
                content = path.read_bytes()
            fault = _other_content(hashlib.sha256(content).hexdigest(), sha256)
        if fault is not None:
            raise StoreError(
                f"{path}: expected the predictions as they were written, got {fault}. {NEXT_STEP}"
            )
        # what pandas.read_parquet returns, without what it does for data sets of many files
        frame: pd.DataFrame = (
            parquet.ParquetFile(pa.BufferReader(content)).read(use_threads=False).to_pandas()
        )
        return frame

    def require(self) -> None:
        """Check that there is a folder at all: one that is missing whole may be on a disk that is not there now.

        Raises:
            StoreError: If there is none.
        """
        folder = self.root / _FOLDER
        if not folder.is_dir():
            raise StoreError(
                f"{folder}: expected the folder of the predictions, got none; no trial was given back. Mount its "
                "disk or give the store its artifacts folder. If the files are gone for good, make an empty "
                "folder there and run the same command again."
            )

    def fault(self, name: str, sha256: str) -> str | None:
        """Return what is wrong with a file in words, or None when it is as written."""
        fault = self._misplaced(name)
        if fault is not None:
            return fault
        with file_errors(self.root / name):
            found = hash_file(self.root / name)
        return _other_content(found, sha256)

    def _misplaced(self, name: str) -> str | None:
        path = self.root / name
        if not path.resolve().is_relative_to(self.root.resolve()):
            return "a name outside the artifact folder"
        return None if path.is_file() else "no file"


def _other_content(found: str, sha256: str) -> str | None:
    return None if found == sha256 else f"other content (SHA-256 {found[:12]}…)"
