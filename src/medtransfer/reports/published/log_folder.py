"""Study C's folder of logs: every run found by its name, copies recognised by content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.reports.published.delimited_file import read_text
from medtransfer.reports.published.doubts import flag_runs
from medtransfer.reports.published.import_batch import Ignored, ImportBatch, raise_faults
from medtransfer.reports.published.log_file import (
    epoch_means,
    read_losses,
    read_test_values,
    read_validation_curves,
    restarts,
)
from medtransfer.reports.published.names import STUDY_C
from medtransfer.reports.published.records import MeasuredCurve, MeasuredRun, PretrainingLog
from medtransfer.reports.published.runs_file import EXPERIMENTS, INITIALIZATIONS, RunKey

TRAINING_LOSS: Final = "epoch_mean_loss"
"""Metric of a curve that was averaged from a training log, step by step."""
TRAINING_STEPS: Final = "epoch_steps"
"""Metric of a curve that counts the steps of a training log."""
_RUN_NAME: Final = re.compile(
    rf"PT_(?:SimCLR_)?(?P<start>{'|'.join(INITIALIZATIONS)})_FT_(?P<task>.+?)(?:_f(?P<run>[123]))?"
)
_COPIED_FROM: Final = {"E6": "E1", "E8": "E4"}
_LOGS: Final = frozenset({"test.log", "val.log", "train.log"})
_PARENT: Final = "logs_and_checkpoints"


@dataclass
class _Reading:
    """What has been read so far."""

    problems: list[Problem] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    runs: list[MeasuredRun] = field(default_factory=list)
    curves: list[MeasuredCurve] = field(default_factory=list)
    pretrainings: list[PretrainingLog] = field(default_factory=list)
    origins: dict[object, str] = field(default_factory=dict)

    def text(self, file: Path, name: str) -> str | None:
        """Return the text of a log, or None after a fault."""
        try:
            return read_text(file, name)
        except DataError as error:
            self.problems.append(Problem("unreadable-log", name, "a text file", str(error).rstrip(".")))
            return None


@dataclass(frozen=True)
class _RunFolder:
    """One run's folder and what its name says."""

    path: Path
    name: str
    experiment: str
    initialization: str
    task: str
    run: int

    @property
    def key(self) -> RunKey:
        return self.experiment, self.initialization, self.task, self.run


def is_log_folder(folder: Path) -> bool:
    """Return whether a folder is one of study C's logs: has ``finetuning`` or ``pretraining``."""
    return any((_root(folder) / part).is_dir() for part in ("finetuning", "pretraining"))


def read_log_folder(folder: Path, name: str) -> ImportBatch:
    """Return runs, curves and pretraining logs of a folder; links are not followed.

    Args:
        folder: The repository, its ``logs_and_checkpoints``, or any folder that holds ``finetuning`` or
            ``pretraining``.
        name: What it is called in messages.

    Raises:
        ImportFaultsError: If a log or the name of a run is wrong; all of them are named.
    """
    root = _root(folder)
    reading = _Reading()
    folders = list(_run_folders(root, reading))
    digests = {run.key: _digest(run.path / "test.log") for run in folders}
    for run in folders:
        source = _COPIED_FROM.get(run.experiment, "")
        original = (source, *run.key[1:])
        if digests[run.key] is not None and digests.get(original) == digests[run.key]:
            reading.ignored.append(Ignored(run.name, f"its test log is a byte copy of that in {source}"))
        else:
            _read_run(run, reading)
    for path in _folders(root / "pretraining"):
        _read_pretraining(path, f"pretraining/{path.name}", reading)
    raise_faults(name, reading.problems)
    return ImportBatch(
        runs=flag_runs(reading.runs),
        curves=tuple(reading.curves),
        pretrainings=tuple(reading.pretrainings),
        ignored=tuple(reading.ignored),
        origins=reading.origins,
    )


def _root(folder: Path) -> Path:
    below = folder / _PARENT
    return below if below.is_dir() else folder


def _run_folders(root: Path, reading: _Reading) -> Iterator[_RunFolder]:
    known: dict[RunKey, str] = {}
    for group in _folders(root / "finetuning"):
        if group.name not in EXPERIMENTS:
            reading.ignored.append(Ignored(f"finetuning/{group.name}", "no experiment of the study"))
            continue
        for path in _folders(group):
            run = _run_folder(path, f"finetuning/{group.name}/{path.name}", reading)
            if run is None:
                continue
            if run.key in known:
                problem = Problem(
                    "repeated-key", run.name, "each run once", f"that of {known[run.key]}", "Keep one."
                )
                reading.problems.append(problem)
            known[run.key] = run.name
            yield run


def _run_folder(path: Path, name: str, reading: _Reading) -> _RunFolder | None:
    found = _RUN_NAME.fullmatch(path.name)
    if found is None or not path.name.isprintable():
        expected = "a run named PT_<pretraining>_FT_<task>, with _f1, _f2 or _f3 for runs 1 to 3"
        reading.problems.append(
            Problem("wrong-run-name", name, expected, repr(path.name), "Rename it, or move it elsewhere.")
        )
        return None
    if found["task"].endswith("_testing"):
        reading.ignored.append(Ignored(name, "a trial of the study's code, not a result"))
        return None
    return _RunFolder(path, name, path.parent.name, found["start"], found["task"], int(found["run"] or 0))


def _read_run(folder: _RunFolder, reading: _Reading) -> None:
    present = {entry.name for entry in os.scandir(folder.path) if entry.is_file(follow_symlinks=False)}
    for name in sorted(present):
        if name.endswith(".log") and name not in _LOGS:
            reading.ignored.append(Ignored(f"{folder.name}/{name}", "no log of a result"))
    if not present & _LOGS:
        reading.ignored.append(Ignored(folder.name, "no logs in it"))
    for name, read in (
        ("test.log", _read_test),
        ("val.log", _read_validation),
        ("train.log", _read_training),
    ):
        if name in present:
            text = reading.text(folder.path / name, f"{folder.name}/{name}")
            if text is not None:
                read(folder, text, f"{folder.name}/{name}", reading)


def _read_test(folder: _RunFolder, text: str, name: str, reading: _Reading) -> None:
    found = read_test_values(text, name, reading.problems)
    if found is None:
        return
    table, values = found
    reading.origins[folder.key] = name
    for metric, value in values.items():
        logged_as = table.logged_as.get(metric, "")
        reading.runs.append(MeasuredRun(STUDY_C, *folder.key, metric, value, logged_as=logged_as))


def _read_validation(folder: _RunFolder, text: str, name: str, reading: _Reading) -> None:
    found = read_validation_curves(text, name, reading.problems)
    if found is None:
        return
    table, epochs, curves = found
    reading.origins[("validation", *folder.key)] = name
    for metric, values in curves.items():
        logged_as = table.logged_as.get(metric, "")
        reading.curves.append(MeasuredCurve(STUDY_C, *folder.key, metric, epochs, values, logged_as))


def _read_training(folder: _RunFolder, text: str, name: str, reading: _Reading) -> None:
    found = read_losses(text, name, reading.problems)
    if found is None:
        return
    means = epoch_means(found[1])
    if means is None:
        expected = "epochs that never go back"
        row = restarts(found[1].epochs)[0]
        reading.problems.append(
            Problem(
                "wrong-epoch",
                found[0].line(row),
                expected,
                f"epoch {found[1].epochs[row]}",
                "Keep one training.",
            )
        )
        return
    epochs, losses, steps = means
    reading.origins[("training", *folder.key)] = name
    reading.curves.append(MeasuredCurve(STUDY_C, *folder.key, TRAINING_LOSS, epochs, losses, "loss"))
    counted = tuple(float(number) for number in steps)
    reading.curves.append(MeasuredCurve(STUDY_C, *folder.key, TRAINING_STEPS, epochs, counted, "step"))


def _read_pretraining(path: Path, name: str, reading: _Reading) -> None:
    file = path / "train.log"
    if file.is_symlink() or not file.is_file():
        reading.ignored.append(Ignored(name, "no train.log in it"))
        return
    text = reading.text(file, f"{name}/train.log")
    found = None if text is None else read_losses(text, f"{name}/train.log", reading.problems)
    if found is None:
        return
    table, series = found
    further = {
        column: cells for column, cells in table.columns.items() if column not in {"epoch", "step", "loss"}
    }
    reading.origins[("pretraining", path.name)] = f"{name}/train.log"
    reading.pretrainings.append(
        PretrainingLog(
            STUDY_C, path.name, series.epochs, series.steps, series.losses, restarts(series.epochs), further
        )
    )


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name; none where it does not exist, links left out."""
    if not folder.is_dir():
        return []
    return sorted(Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))


def _digest(file: Path) -> str | None:
    return sha256(file.read_bytes()).hexdigest() if file.is_file() and not file.is_symlink() else None
