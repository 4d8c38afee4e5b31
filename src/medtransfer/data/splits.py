"""Patient-grouped, stratified splits: how they are drawn, written, read back and refused."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.seeds import seed_from
from medtransfer.data.case_table import CaseTable, SplitSource

DEFAULT_SHARES: Final[Mapping[str, float]] = MappingProxyType({"train": 0.7, "val": 0.1, "test": 0.2})
SPLIT_COLUMNS: Final = ("case_id", "patient_id", "split")


def draw_split(
    patient_ids: Sequence[str] | npt.NDArray[Any],
    strata: Sequence[Any] | npt.NDArray[Any] | None,
    shares: Mapping[str, float] = DEFAULT_SHARES,
    *,
    seed: int,
) -> npt.NDArray[np.str_]:
    """Draw a split that cuts no patient and keeps the strata's shares.

    Patients are dealt out one by one, large ones first and equal ones in an order drawn from the
    seed and the patient id, each to the split that is then furthest below its share of that
    patient's strata. The result does not depend on the order of the rows.

    Args:
        patient_ids: Patient of each case, shape (N,).
        strata: Label of each case, shape (N,); or 0/1 per class, shape (N, C); None for no strata.
        shares: Split name to share of the cases; positive, summing to 1.
        seed: Number all of the draw depends on.

    Returns:
        Split name of each case, shape (N,).

    Raises:
        UsageError: If the shares are not positive or do not sum to 1.
        DataError: If there are fewer patients than splits.

    Example:
        >>> draw_split(["a", "a", "b", "c"], None, {"train": 0.5, "test": 0.5}, seed=1).tolist()
        ['train', 'train', 'test', 'test']
    """
    _check_shares(shares)
    patients, patient_of_case = np.unique(np.asarray(patient_ids).astype(str), return_inverse=True)
    if len(patients) < len(shares):
        raise DataError(
            f"split: expected at least one patient for each of {list(shares)!r}, got {len(patients)}."
        )
    counts = _cases_per_patient(patient_of_case, strata, len(patients))
    rank = np.array([seed_from("split", seed, patient) for patient in patients.tolist()])
    order = np.lexsort((rank, -counts[:, 0]))
    chosen = _deal(counts, order, np.array(list(shares.values())))
    _fill_empty(chosen, counts[:, 0], order, len(shares))
    return np.array(list(shares), dtype=np.str_)[chosen[patient_of_case]]


def hold_out(
    split: Sequence[str] | npt.NDArray[Any],
    patient_ids: Sequence[str] | npt.NDArray[Any],
    strata: Sequence[Any] | npt.NDArray[Any] | None,
    *,
    share: float,
    seed: int,
    source: str = "train",
    into: str = "val",
) -> npt.NDArray[np.str_]:
    """Move a patient-grouped, stratified part of one split into another.

    Args:
        split: Split name of each case, shape (N,).
        patient_ids: As in :func:`draw_split`.
        strata: As in :func:`draw_split`.
        share: Share of ``source`` to move, in (0, 1).
        seed: Number all of the draw depends on.
        source: Split to take from.
        into: Split to give to.

    Returns:
        New split name of each case, shape (N,).

    Raises:
        UsageError: If the share is not inside (0, 1).
        DataError: If ``source`` has fewer than two patients.
    """
    old = np.asarray(split).astype(str)
    rows = np.flatnonzero(old == source)
    part = None if strata is None else np.asarray(strata)[rows]
    shares = {source: 1.0 - share, into: share}
    drawn = draw_split(np.asarray(patient_ids)[rows], part, shares, seed=seed)
    new = old.astype(object)
    new[rows] = drawn
    return new.astype(np.str_)


def write_split(path: Path, cases: CaseTable) -> str:
    """Write the split as CSV, with its SHA-256 in a file of the same name plus ``.sha256``.

    Args:
        path: CSV file to write, columns ``case_id, patient_id, split``.
        cases: Table whose split is written, in the order of its rows.

    Returns:
        SHA-256 hex digest of the CSV file.
    """
    content = cases.frame[list(SPLIT_COLUMNS)].to_csv(index=False, lineterminator="\n").encode()
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(path, content)
    write_atomically(_hash_path(path), f"{digest}  {path.name}\n")
    return digest


def read_split(path: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """Read a split that :func:`write_split` wrote, or a list a user brings.

    Args:
        path: CSV file with the columns ``case_id, patient_id, split``.
        sha256: Digest the file must have; without it, the one recorded next to the file, if any.

    Returns:
        The three columns as text, one row per case.

    Raises:
        DataError: If the file is missing, is not the recorded one, lacks a column or repeats a case.
    """
    if not path.is_file():
        raise DataError(f"{path.name}: expected a split file, got none.")
    recorded = sha256 or _recorded_hash(path)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if recorded is not None and found != recorded:
        raise DataError(
            f"{path.name}: expected the split with SHA-256 {recorded[:12]}…, got {found[:12]}…. "
            "Restore the file: results on another split are not comparable."
        )
    try:
        frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path.name}: expected a CSV file, got {error}.") from error
    missing = [name for name in SPLIT_COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path.name}: expected the columns {list(SPLIT_COLUMNS)!r}, got {list(frame.columns)!r}."
        )
    repeated = frame["case_id"][frame["case_id"].duplicated()].tolist()
    if repeated:
        raise DataError(f"{path.name}: expected each case once, got {repeated[:5]!r} repeated.")
    return frame[list(SPLIT_COLUMNS)]


def with_split(cases: CaseTable, split: pd.DataFrame, split_source: SplitSource) -> CaseTable:
    """Return the cases with the split of a list that names exactly these cases.

    Args:
        cases: Table whose split is replaced.
        split: What :func:`read_split` returned.
        split_source: Where the list comes from.

    Raises:
        DataError: If the list lacks a case, or names one or a patient the table does not have.
    """
    listed = split.set_index("case_id")
    ids = cases.frame["case_id"].astype(str)
    _refuse(ids[~ids.isin(listed.index)], "every case listed", "not listed")
    _refuse(listed.index[~listed.index.isin(ids)].to_series(), "only cases of the task", "unknown")
    row = listed.loc[ids.tolist()]
    other = row["patient_id"].to_numpy() != cases.frame["patient_id"].astype(str).to_numpy()
    _refuse(ids[other], "the task's patient for each case", "with another patient")
    return replace(
        cases.with_frame(cases.frame.assign(split=row["split"].to_numpy())), split_source=split_source
    )


def _refuse(case_ids: pd.Series, expected: str, found: str) -> None:
    if len(case_ids):
        raise DataError(
            f"split list: expected {expected}, got {len(case_ids)} {found}: {case_ids.tolist()[:5]!r}."
        )


def _hash_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _recorded_hash(path: Path) -> str | None:
    beside = _hash_path(path)
    if not beside.is_file():
        return None
    words = beside.read_text(encoding="utf-8").split(maxsplit=1)
    if not words:
        raise DataError(f"{beside.name}: expected the SHA-256 of {path.name}, got an empty file. Restore it.")
    return words[0]


def _check_shares(shares: Mapping[str, float]) -> None:
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise UsageError(f"split shares: expected positive numbers that sum to 1, got {dict(shares)!r}.")


def _cases_per_patient(
    patient_of_case: npt.NDArray[np.intp], strata: Sequence[Any] | npt.NDArray[Any] | None, patients: int
) -> npt.NDArray[np.float64]:
    """Return cases per patient: all of them in column 0, then per stratum, shape (patients, 1 + K)."""
    cases = len(patient_of_case)
    member = np.ones((cases, 1))
    if strata is not None:
        given = np.asarray(strata)
        if len(given) != cases:
            raise UsageError(f"strata: expected one per case, that is {cases}, got {len(given)}.")
        if given.ndim == 1:
            names, code = np.unique(given.astype(str), return_inverse=True)
            given = np.eye(len(names))[code]
        member = np.hstack([member, given.astype(np.float64)])
    counts = np.zeros((patients, member.shape[1]))
    np.add.at(counts, patient_of_case, member)
    return counts


def _deal(
    counts: npt.NDArray[np.float64], order: npt.NDArray[np.intp], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp]:
    """Give each patient to the split where it lowers the sum of squared misses over targets the most."""
    target = shares[:, None] * np.maximum(counts.sum(axis=0), 1.0)
    missing = shares[:, None] * counts.sum(axis=0)
    chosen = np.zeros(len(counts), dtype=np.intp)
    for patient in order:
        cases = counts[patient]
        gain = ((2 * missing - cases) * cases / target).sum(axis=1)
        split = int(np.argmax(np.round(gain, 9)))  # rounding keeps ties ties on every machine
        chosen[patient] = split
        missing[split] -= cases
    return chosen


def _fill_empty(
    chosen: npt.NDArray[np.intp], sizes: npt.NDArray[np.float64], order: npt.NDArray[np.intp], splits: int
) -> None:
    """Give every empty split the smallest patient of the split with the most patients, in place."""
    for split in range(splits):
        if not (chosen == split).any():
            donor = int(np.argmax(np.bincount(chosen, minlength=splits)))
            candidates = order[chosen[order] == donor]
            chosen[candidates[np.argmin(sizes[candidates])]] = split
