"""Synthetic copies of data sets: written below a data folder, marked, and recognised when opened."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.fingerprints import hash_file
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.published_lists import FOLDER
from medtransfer.tasks.sample_files import PHANTOM_NOTE, write_json
from medtransfer.tasks.target_task import TargetTask

MARKER: Final = "SYNTHETIC-SAMPLE.json"
"""File that says a folder holds generated images; beside the data set's file where that is one file."""

CAUTION: Final = (
    "Synthetic sample: the images are generated in the data set's layout and say nothing about patients."
)
"""What every report says about results on a sample."""


def write_sample(task: TargetTask, data_folder: Path) -> Path:
    """Write the synthetic copy of a task's data set below a data folder, where the task looks for it.

    Args:
        task: Registered task.
        data_folder: Folder of data sets; made where it is missing.

    Returns:
        The data set's folder, or file, in the official layout.

    Raises:
        UsageError: If the task draws its images itself.
        DataError: If something other than a sample of the same data set is already there.
    """
    if task.write_sample is None:
        raise UsageError(f"task {task.name!r}: expected a data set that is downloaded, got generated images.")
    root = data_folder / task.folders[0]
    family = task.family or task.name
    places = [data_folder / name for name in task.folders[1:]]
    others = [place for place in places if place.exists() and not _below(place, root)]
    if others:
        raise DataError(
            f"task {task.name!r}: expected no data of it in {data_folder}, got {others[0]}. A sample beside it would "
            "be read in its place: choose another folder."
        )
    if root.exists():
        if sample_family(root) != family:
            raise DataError(
                f"task {task.name!r}: expected nothing at {root}, got other files. A sample is never written "
                "over data: choose another folder."
            )
        _remove(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_folder, prefix=".sample-") as folder:
        part = Path(folder) / root.name  # of the same name, which some data sets repeat in their tables
        task.write_sample(part)
        facts = {"sample_of": family, "note": PHANTOM_NOTE, "files": _files_of(part)}
        write_json(_marker(part if part.is_dir() else root, is_file=part.is_file()), facts)
        part.rename(root)
    return root


def sample_family(root: Path) -> str | None:
    """Return which data set a folder or file is a synthetic sample of; None for real data.

    Raises:
        DataError: If there is a marker, and it cannot be read or the files are not those it lists:
            real data beside a forgotten marker would pass for generated.
    """
    marker = _marker(root, is_file=root.is_file())
    if not marker.is_file():
        return None
    try:
        declared = json.loads(marker.read_text(encoding="utf-8"))
        family, files = str(declared["sample_of"]), dict(declared["files"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{marker}: expected the marker of a synthetic sample, got {error}.") from error
    if _files_of(root) != files:
        raise DataError(
            f"{root}: expected the synthetic sample that {marker.name} lists, got other files. Remove that "
            "marker if this is real data, or the folder if it is a sample that was changed."
        )
    return family


def as_sample(task: TargetTask, cases: CaseTable) -> tuple[TargetTask, CaseTable]:
    """Return a task and its cases marked as generated, without the official counts."""
    marked = replace(
        task,
        title=f"{task.title} (synthetic sample)",
        expected=None,
        phantom=True,
        caution=CAUTION,
        image_sets=(f"phantom-sample-{task.family or task.name}",),
    )
    others = tuple(problem for problem in cases.opening_problems if problem.what != "unexpected-count")
    return marked, replace(cases, opening_problems=others)


def _marker(root: Path, *, is_file: bool) -> Path:
    return root.with_name(f"{root.name}.{MARKER}") if is_file else root / MARKER


def _files_of(root: Path) -> dict[str, str]:
    """Return the digest of every file, by its path below the root; without marker and pinned splits."""
    if root.is_file():
        return {root.name: hash_file(root)}
    paths = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    kept = {
        name: path for name, path in paths.items() if name != MARKER and not name.startswith(f"{FOLDER}/")
    }
    return {name: hash_file(path) for name, path in kept.items()}


def _below(other: Path, root: Path) -> bool:
    """Return whether one of two places lies in the other, as the levels of one data set do."""
    return other in root.parents or root in other.parents


def _remove(root: Path) -> None:
    if root.is_dir():
        shutil.rmtree(root)
    else:
        root.unlink()
