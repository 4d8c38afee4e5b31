"""Study C's runs as one long file: one metric of one run per row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from medtransfer.core.problems import Problem
from medtransfer.reports.published.delimited_file import CellReader, FileRow, read_rows
from medtransfer.reports.published.doubts import flag_runs
from medtransfer.reports.published.import_batch import ImportBatch, raise_faults
from medtransfer.reports.published.names import STUDY_C
from medtransfer.reports.published.records import MeasuredRun

RUN_COLUMNS: Final = ("experiment", "pretraining", "task", "run", "metric", "value")
"""Header of a file of runs."""
ALIASES: Final[Mapping[str, str]] = {"acc": "accuracy", "avg_loss": "avg_val_loss"}
"""Names of one code version and what the other calls them; ``avg_val_loss`` is the loss on test."""
EXPERIMENTS: Final = ("E1", "E2", "E3", "E4", "E6", "E8")
"""Groups of runs that the study published."""
INITIALIZATIONS: Final = ("Scratch", "I1k", "R", "RF", "IxRS", "IxRM")
"""What training started from."""
_SHARE: Final = re.compile(r"(?:accuracy|(?:weighted_)?(?:auc|dice|iou|precision|recall)_avg.*)")
RunKey = tuple[str, str, str, int]


def read_runs_file(text: str, name: str) -> ImportBatch:
    """Return the runs of a file.

    Args:
        text: Its content.
        name: Its name, for messages.

    Raises:
        ImportFaultsError: If a row is wrong or a metric of a run occurs twice; all such rows are named.
    """
    problems: list[Problem] = []
    runs: dict[tuple[RunKey, str], MeasuredRun] = {}
    lines: dict[tuple[RunKey, str], str] = {}
    for row in read_rows(text, name, RUN_COLUMNS, problems):
        run = _run(row, problems)
        if run is None:
            continue
        key = (run_key(run), run.metric)
        if key in runs:
            problems.append(
                Problem(
                    "repeated-key",
                    row.where,
                    "each metric of a run once",
                    f"that of {lines[key]}",
                    "Keep one row.",
                )
            )
        runs[key], lines[key] = run, row.where
    raise_faults(name, problems)
    origins: dict[object, str] = {}
    for (found, _), where in lines.items():
        origins.setdefault(found, where)
    return ImportBatch(runs=flag_runs(tuple(runs.values())), origins=origins)


def run_key(run: MeasuredRun) -> RunKey:
    """Return what identifies a run."""
    return run.experiment, run.initialization, run.task, run.run


def in_range(metric: str, value: float) -> bool:
    """Return whether a value is possible: shares lie in [0, 1], losses and unknown columns anywhere."""
    return not _SHARE.fullmatch(metric) or 0.0 <= value <= 1.0


def _run(row: FileRow, problems: list[Problem]) -> MeasuredRun | None:
    cells = CellReader(row, problems)
    logged_as = cells.text("metric")
    metric = ALIASES.get(logged_as, logged_as)
    value = cells.number("value")
    if not in_range(metric, value):
        cells.refuse("value", "a share from 0 to 1")
    run = MeasuredRun(
        source=STUDY_C,
        experiment=cells.choice("experiment", EXPERIMENTS),
        initialization=cells.choice("pretraining", INITIALIZATIONS),
        task=cells.text("task"),
        run=cells.whole_number("run", 0),
        metric=metric,
        value=value,
        logged_as="" if metric == logged_as else logged_as,
    )
    return run if cells.ok else None
