"""Cells of a label file that may hold only a few declared texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtransfer.tasks.tables import refuse


def cell_values(subject: str, where: str, cells: pd.Series, meanings: Mapping[str, Any]) -> pd.Series:
    """Return what the cells of a column mean.

    Args:
        subject: What to begin messages with.
        where: The label file.
        cells: Text cells with line numbers as index; its name is the column's.
        meanings: Declared texts and what each means.

    Raises:
        DataError: If a cell holds another text, naming the lines.
    """
    unknown = cells[~cells.isin(list(meanings))]
    faults = [f"line {line}: {text!r}" for line, text in unknown.items()]
    refuse(subject, f"{where}: column {cells.name!r}", f"one of {list(meanings)!r}", faults)
    return cells.map(dict(meanings))
