"""Cases that are the slices of whole volumes: how many there are, and which split a volume goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.data.inside_root import path_inside
from medtransfer.data.nifti_volumes import read_nifti_slices
from medtransfer.data.splits import DEFAULT_SHARES, draw_split


def agreed_slices(subject: str, root: Path, files: Sequence[str]) -> int:
    """Return the number of axial slices of volumes that lie on one another, from their headers.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        files: NIfTI files below it; the first is the image the others belong to.

    Raises:
        DataError: If a file is no readable volume, or has another number of slices than the first.
    """
    counts = {name: read_nifti_slices(path_inside(root, name), name, "axial") for name in files}
    first = files[0]
    for name, count in counts.items():
        if count != counts[first]:
            raise DataError(
                f"{subject}: expected as many axial slices in {name} as the {counts[first]} of {first}, "
                f"got {count}. One of them belongs to another scan or is turned: replace it."
            )
    return counts[first]


def draw_volume_splits(
    task: str, volumes: Sequence[str], shares: Mapping[str, float] = DEFAULT_SHARES
) -> dict[str, str]:
    """Return the split of every volume, each counting once whatever its number of slices.

    Args:
        task: Name of the task, the only thing the draw depends on besides the names.
        volumes: Names of the volumes, each once.
        shares: Split name to share of the volumes.

    Raises:
        DataError: If there are fewer volumes than splits.
    """
    drawn = draw_split(volumes, None, shares, seed=seed_from("split", task))
    return dict(zip(volumes, drawn.tolist(), strict=True))
