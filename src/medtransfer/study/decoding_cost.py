"""How long the images of a study will take to decode, by decoding a few of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medtransfer.data.case_digests import case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import missing_sides, open_decoded_cache
from medtransfer.study.plan import Trial
from medtransfer.study.preparation import PreparedTask

_PLACES, _TOGETHER = 4, 4
"""So many cases that follow each other, at so many places of a table: slices of a volume share its reading."""


def decoded_side(trial: Trial) -> int:
    """Return the side at which a trial's decoded images are kept."""
    model = trial.model.model
    if not model.input_from_library:
        return trial.protocol.decoded_side(trial.task.task.kind, model.input.size)
    from medtransfer.models.hub_weights import contract_of  # the library has to be asked, which imports it

    return trial.protocol.decoded_side(trial.task.task.kind, contract_of(model).size)


def decoding_seconds(trials: Sequence[Trial], cache_folder: Path) -> float:
    """Return about how many seconds of one core the images will take that are not on disk yet.

    A task's images are decoded once for all the sides that its trials need.

    Args:
        trials: Those that are to run.
        cache_folder: Root of the caches.
    """
    tasks: dict[str, PreparedTask] = {}
    sides: dict[str, set[int]] = {}
    for trial in trials:
        name = trial.task.task.name
        tasks[name] = trial.task
        sides.setdefault(name, set()).add(decoded_side(trial))
    return sum(_seconds(task.cases, sides[name], cache_folder) for name, task in tasks.items())


def _seconds(cases: CaseTable, sides: set[int], cache_folder: Path) -> float:
    missing = missing_sides(cases, case_digests(cases), sides, cache_folder)
    if not missing:
        return 0.0
    starts = np.linspace(0, max(len(cases) - _TOGETHER, 0), _PLACES).astype(int)
    rows = sorted(
        {int(start) + step for start in starts for step in range(_TOGETHER)} & set(range(len(cases)))
    )
    some = cases.with_frame(cases.frame.iloc[rows])
    with tempfile.TemporaryDirectory(prefix="medtransfer-decoding-") as folder:
        before = time.process_time()
        open_decoded_cache(some, max(missing), Path(folder))
        return (time.process_time() - before) / len(rows) * len(cases)
