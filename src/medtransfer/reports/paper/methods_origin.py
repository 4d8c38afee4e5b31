"""Methods in words: hardware, software with versions, and the revision of the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from typing import Final

from medtransfer.reports.disclosure import hide_places
from medtransfer.reports.paper.bibliography import Work, work_of_package
from medtransfer.reports.paper.prose import Passage, Piece, cite, sentences
from medtransfer.reports.phrases import listed
from medtransfer.reports.renderers.latex import latex_text
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.provenance import differences, finished_between, origins

NOT_INSTALLED: Final = "not installed"

_NAMES: Final = {
    "medtransfer": "medtransfer",
    "python": "Python",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "timm": "timm",
    "segmentation-models-pytorch": "Segmentation Models PyTorch",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "scikit-learn": "scikit-learn",
    "opencv-python-headless": "OpenCV",
    "pillow": "Pillow",
}
_HARDWARE: Final = ("device", "processor", "cores", "system")


def origin_passage(reading: StudyReading, command: str = "") -> Passage:
    """Return what the trials were run on and with, from their own records.

    Args:
        reading: The study.
        command: The command that writes the paper's files.
    """
    values = _values(reading)
    pieces: list[Piece] = list(sentences(_hardware(values), _dates(reading)))
    pieces += _software(values)
    if "code" in values:
        pieces.append(f" Code revision of medtransfer: {listed(values['code'])}.")
    if command:
        pieces.append(f" These files were written by: {hide_places(command)}.")
    pieces += sentences(*differences(reading))
    return Passage("Hardware and software", tuple(pieces))


def _software(values: dict[str, list[str]]) -> Iterator[Piece]:
    """Yield the programs of the trials, then those that made the tables and figures, with versions."""
    used = {name: [v for v in values.get(name, ()) if v != NOT_INSTALLED] for name in _NAMES}
    used = {name: versions for name, versions in used.items() if versions}
    here = version("medtransfer")
    ours = list(dict.fromkeys([*used.get("medtransfer", ()), here]))
    yield " Software of the trials:" if used else " The software of the trials was not recorded."
    for number, (name, versions) in enumerate(used.items()):
        yield f"{', ' if number else ' '}{_NAMES[name]} {listed(versions)}"
        yield from cite(_with_version(name, ours if name == "medtransfer" else versions))
    yield f"{'.' if used else ''} Tables and figures: medtransfer {here}"
    yield from cite(_with_version("medtransfer", ours))
    yield " and Matplotlib"
    yield from cite(_with_version("matplotlib", [version("matplotlib")]))
    yield "."


def _values(reading: StudyReading) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for what, value in origins(reading):
        values.setdefault(what, []).append(value)
    return values


def _hardware(values: dict[str, list[str]]) -> str:
    told = [f"{name} {listed(values[name])}" for name in _HARDWARE if name in values]
    return f"Hardware of the trials: {'; '.join(told)}." if told else "The hardware was not recorded."


def _dates(reading: StudyReading) -> str:
    between = finished_between(reading)
    return f"The trials ended {between} (UTC)." if between else ""


def _with_version(package: str, versions: list[str]) -> Work | None:
    """Return the entry of a package with the versions that were used, as a note."""
    work = work_of_package(package)
    if work is None:
        return None
    word = "Version" if len(versions) == 1 else "Versions"
    return replace(work, fields={**work.fields, "note": latex_text(f"{word} {listed(versions)}")})
