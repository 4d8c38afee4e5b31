"""The split of own data: the user's where given, else drawn by patient, stratified and seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.data.case_table import SPLITS, SplitSource
from medtransfer.data.splits import draw_split, hold_out

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Shares of the patients when no split is given."""

_VALIDATION_SHARE = 0.125
SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""How a split may be spelled, in lower case, and what it is."""


def split_name(text: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` for one of their usual spellings, else None."""
    return SPELLINGS.get(text.strip().lower())


def complete_splits(
    name: str, frame: pd.DataFrame, strata: Sequence[Any] | None
) -> tuple[pd.DataFrame, SplitSource]:
    """Return the frame with a full ``split`` column, and where the split comes from.

    Args:
        name: Task name, part of the seed.
        frame: Rows with ``patient_id`` and, where the user gave one, ``split``.
        strata: What to stratify by, one value per row; None for nothing.

    Returns:
        With train, val and test given: unchanged, ``user``. Without val: an eighth of the training
        patients becomes val, ``user``. Without a split: drawn 70/10/20 by patient, ``ours``.

    Raises:
        DataError: If the given split has no training or no test cases.
    """
    patients = frame["patient_id"].tolist()
    if "split" not in frame.columns:
        drawn = draw_split(patients, strata, SHARES, seed=seed_from("split", name))
        return frame.assign(split=drawn), "ours"
    present = set(frame["split"])
    absent = [split for split in ("train", "test") if split not in present]
    if absent:
        raise DataError(
            f"task {name!r}: split: expected cases in {' and '.join(SPLITS)}, "
            f"got none in {' and '.join(absent)}. Add them, or leave the split out to have one drawn."
        )
    if "val" in present:
        return frame, "user"
    split = hold_out(
        frame["split"].tolist(), patients, strata, share=_VALIDATION_SHARE, seed=seed_from("split", name)
    )
    return frame.assign(split=split), "user"
