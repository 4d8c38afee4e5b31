"""What ``medtransfer import`` was pointed at: a table, a file of runs, or a folder of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from medtransfer.core.errors import DataError, UsageError
from medtransfer.reports.published.delimited_file import read_header, read_text
from medtransfer.reports.published.import_batch import ImportBatch
from medtransfer.reports.published.log_folder import is_log_folder, read_log_folder
from medtransfer.reports.published.results_file import RESULT_COLUMNS, read_results_file
from medtransfer.reports.published.runs_file import RUN_COLUMNS, read_runs_file

Layout = Literal["results", "runs", "logs"]


def read_import(path: Path) -> tuple[Layout, ImportBatch]:
    """Return what a path holds, whole and checked.

    Args:
        path: A file of results, a file of runs, or a folder of logs.

    Raises:
        UsageError: If there is nothing, or a folder without such logs.
        DataError: If a file is of neither layout or cannot be read; an
            :class:`~medtransfer.reports.published.import_batch.ImportFaultsError` if rows or logs in it
            are wrong, each named.
    """
    name = import_name(path)
    if path.is_dir():
        if not is_log_folder(path):
            raise UsageError(
                f"import {path}: expected a folder with 'finetuning' or 'pretraining' in it or in its "
                "'logs_and_checkpoints', got neither. Give that folder, or a single CSV file."
            )
        return "logs", _not_empty(read_log_folder(path, name), name)
    if not path.exists():
        raise UsageError(f"import {path}: expected a file or a folder, got nothing there. Check the path.")
    text = read_text(path, name)
    columns = read_header(text, name)
    header = set(columns)
    if len(header & set(RUN_COLUMNS)) > len(header & set(RESULT_COLUMNS)):
        return "runs", _not_empty(read_runs_file(text, name), name)
    if header & set(RESULT_COLUMNS):
        return "results", _not_empty(read_results_file(text, name), name)
    raise DataError(
        f"{name}: expected the header {','.join(RESULT_COLUMNS)} or {','.join(RUN_COLUMNS)}, got "
        f"{','.join(columns[:5])!r}. Give a file of published results or of runs."
    )


def import_name(path: Path) -> str:
    """Return what a path is called in messages and in the store: its last part, no place on this machine."""
    return path.resolve().name or "folder"


def _not_empty(batch: ImportBatch, name: str) -> ImportBatch:
    if not any(batch.read.values()) and not batch.ignored:
        raise DataError(
            f"{name}: expected at least one result, got none. Check that this is the right file or folder."
        )
    return batch
