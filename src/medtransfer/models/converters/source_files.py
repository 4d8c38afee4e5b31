"""Which files on disk a conversion reads."""

from __future__ import annotations

import re
from pathlib import Path

from medtransfer.core.errors import WeightsError

INDEX = ".index"
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")


def source_files(source: Path, *, bundle: bool) -> list[Path]:
    """Return the files of a checkpoint: the one file, or a TensorFlow index and its data files in order.

    Args:
        source: The file; for a bundle its index, the common start of its names, or its folder.
        bundle: Whether it is a TensorFlow checkpoint.

    Raises:
        WeightsError: If a file is missing, or a folder holds several checkpoints.
    """
    if not bundle:
        if not source.is_file():
            raise WeightsError(f"weights file {source}: expected a file to convert, got none there.")
        return [source]
    index = _index(source)
    start = index.name.removesuffix(INDEX)
    shards = {}
    for path in index.parent.iterdir():
        found = _SHARD.fullmatch(path.name.removeprefix(start)) if path.name.startswith(start) else None
        if found:
            shards[int(found[1])] = (path, int(found[2]))
    wanted = next(iter(shards.values()))[1] if shards else 1
    if sorted(shards) != list(range(wanted)):
        raise WeightsError(
            f"weights file {index.name}: expected {start}.data-00000-of-{wanted:05} and all others beside it, "
            f"got {len(shards)} data files. Copy the whole checkpoint."
        )
    return [index, *(shards[number][0] for number in range(wanted))]


def _index(source: Path) -> Path:
    if source.is_dir():
        found = sorted(source.glob(f"*{INDEX}"))
    else:
        named = source if source.suffix == INDEX else source.with_name(source.name + INDEX)
        found = [named] if named.is_file() else []
    if len(found) != 1:
        raise WeightsError(
            f"weights file {source}: expected the {INDEX} file of one TensorFlow checkpoint, got {len(found)}. "
            "Name the index."
        )
    return found[0]
