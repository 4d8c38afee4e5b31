"""Options that several commands share, and where they fall back to."""

from __future__ import annotations

import os
from pathlib import Path

import click

from medtransfer.core.locations import CACHE_VARIABLE, DATA_VARIABLE, STORE_VARIABLE, WEIGHTS_VARIABLE

FOLDER = click.Path(path_type=Path, file_okay=False)

data_option = click.option(
    "--data", type=FOLDER, envvar=DATA_VARIABLE, show_envvar=True, help="Folder that holds the data sets."
)
weights_option = click.option(
    "--weights",
    type=FOLDER,
    envvar=WEIGHTS_VARIABLE,
    show_envvar=True,
    help="Folder that holds weights files.",
)
cache_option = click.option(
    "--cache",
    type=FOLDER,
    envvar=CACHE_VARIABLE,
    show_envvar=True,
    help="Folder for decoded images and features  [default: the platform's user cache]",
)
DEFAULT_STORE = "medtransfer-store"

store_option = click.option(
    "--store",
    default=DEFAULT_STORE,
    envvar=STORE_VARIABLE,
    show_envvar=True,
    show_default=True,
    help="Where records live: a folder, a .db file, or a database URL.",
)
store_argument = click.argument("store", metavar="[STORE]", default=DEFAULT_STORE, envvar=STORE_VARIABLE)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def default_workers() -> int:
    """Return one worker per core this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
