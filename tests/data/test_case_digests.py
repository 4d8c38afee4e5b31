"""Digests of a table: each file looked up once, the table's own hash unchanged by it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_digests import case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource


@pytest.fixture
def cases(tmp_path: Path) -> CaseTable:
    """Four images that share two masks and, all but the last, a field of view."""
    for name in ("0", "1", "2", "3", "m0", "m1", "view"):
        Image.fromarray(np.full((4, 4), 255 * len(name) % 256, np.uint8)).save(tmp_path / f"{name}.png")
    names = list("0123")
    columns = {
        "case_id": names,
        "patient_id": names,
        "split": "train",
        "image": [f"{name}.png" for name in names],
    }
    frame = pd.DataFrame(columns).assign(
        mask=[("m0.png",), ("m0.png", "m1.png"), (), ("m1.png",)], field_of_view=["view.png"] * 3 + [""]
    )
    return CaseTable(frame, TaskKind.SEGMENTATION, ("lesion",), FileSource(tmp_path), "ours")


def test_every_file_is_looked_up_once_and_the_hash_is_the_tables_own(
    cases: CaseTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cases.content_hash()
    asked: Counter[str] = Counter()
    digest = FileSource.content_hash

    def counted(self: FileSource, locator: str) -> str:
        asked[locator] += 1
        return digest(self, locator)

    monkeypatch.setattr(FileSource, "content_hash", counted)
    digests = case_digests(cases)
    assert digests.of_table(cases) == whole
    assert asked == dict.fromkeys(["0.png", "1.png", "2.png", "3.png", "m0.png", "m1.png", "view.png"], 1)
    assert digests["m1.png"] == digest(cases.source, "m1.png")  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["2.png", "m1.png", "view.png"])
def test_what_is_missing_is_known_and_refused_where_it_is_needed(
    cases: CaseTable, tmp_path: Path, missing: str
) -> None:
    (tmp_path / missing).unlink()
    digests = case_digests(cases)
    assert set(digests.bad) == {missing}
    assert len(digests.by_locator) == 6
    with pytest.raises(BadImageError, match=missing):
        digests.of_table(cases)
    with pytest.raises(BadImageError, match=missing):
        digests[missing]
