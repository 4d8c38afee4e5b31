"""Columns of a case table that many readers share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource


def table(tmp_path: Path) -> CaseTable:
    frame = pd.DataFrame(
        {
            "case_id": ["c1", "c2", "c3"],
            "patient_id": ["07", "8", "07"],
            "split": ["train", "val", "test"],
            "image": ["1.png", "2.png", "3.png"],
            "label": [0, 1, 0],
        }
    )
    return CaseTable(frame, TaskKind.BINARY, ("benign", "malignant"), FileSource(tmp_path), "ours")


def test_texts_are_those_of_the_column_and_made_once(tmp_path: Path) -> None:
    cases = table(tmp_path)
    found = cases.texts("patient_id")
    assert found.tolist() == ["07", "8", "07"]
    assert found[np.array([2, 1])].tolist() == ["07", "8"]
    assert cases.texts("patient_id") is found
    assert cases.texts("case_id").tolist() == ["c1", "c2", "c3"]
    assert [type(text) for text in cases.texts("label")] == [str] * 3


def test_texts_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        table(tmp_path).texts("case_id")[0] = "other"


def test_another_frame_has_its_own_texts(tmp_path: Path) -> None:
    cases = table(tmp_path)
    cases.texts("case_id")
    other = cases.with_frame(cases.frame.iloc[::-1].reset_index(drop=True))
    assert other.texts("case_id").tolist() == ["c3", "c2", "c1"]
    assert cases.texts("case_id").tolist() == ["c1", "c2", "c3"]


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="volume_id"):
        table(tmp_path).texts("volume_id")
