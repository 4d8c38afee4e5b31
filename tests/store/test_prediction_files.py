"""Prediction files: the same bytes for the same table, whole or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from medtransfer.core.errors import StoreError, TrialError
from medtransfer.store.prediction_files import PredictionFolder, encode_predictions


def frame(rows: int = 100) -> pd.DataFrame:
    scores = np.random.default_rng(0).random(rows)
    ids = [f"fall {n} \N{SNOWMAN}" for n in range(rows)]
    return pd.DataFrame({"case_id": ids, "label": np.arange(rows), "score:ja": scores})


def test_equal_tables_give_equal_bytes_whatever_their_index(tmp_path: Path) -> None:
    first, second = encode_predictions(frame()), encode_predictions(frame().set_index(np.arange(100)[::-1]))
    assert first == second
    assert encode_predictions(frame(99)).sha256 != first.sha256


def test_files_are_compressed_and_read_back_exactly(tmp_path: Path) -> None:
    file = encode_predictions(frame())
    folder = PredictionFolder(tmp_path / "artifacts")
    folder.write(file)
    folder.write(file)
    path = tmp_path / "artifacts" / file.name
    column = parquet.ParquetFile(path).metadata.row_group(0).column(2)
    assert column.compression == "ZSTD"
    pd.testing.assert_frame_equal(folder.read(file.name, file.sha256), frame())
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_table_without_rows_is_a_table(tmp_path: Path) -> None:
    folder = PredictionFolder(tmp_path)
    file = encode_predictions(frame(0))
    folder.write(file)
    assert list(folder.read(file.name, file.sha256).columns) == ["case_id", "label", "score:ja"]


@pytest.mark.parametrize("column", [["\ud800"], [object()]])
def test_columns_that_cannot_be_stored_end_the_trial(column: list[object]) -> None:
    with pytest.raises(TrialError, match="expected columns of numbers or UTF-8 text") as caught:
        encode_predictions(pd.DataFrame({"case_id": pd.Series(column, dtype=object)}))
    assert caught.value.reason == "unstorable_predictions"


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    folder = PredictionFolder(tmp_path)
    file = encode_predictions(frame(3))
    folder.write(file)
    path = tmp_path / file.name
    for position in range(0, len(file.content), 97):
        changed = bytearray(file.content)
        changed[position] ^= 1
        path.write_bytes(changed)
        assert "other content" in folder.fault(file.name, file.sha256)
    for length in (0, 1, len(file.content) // 2, len(file.content) - 1):
        path.write_bytes(file.content[:length])
        with pytest.raises(StoreError, match="other content"):
            folder.read(file.name, file.sha256)


def test_a_folder_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    with pytest.raises(
        StoreError, match=r"artifacts/predictions/.*parquet: expected a file that can be written"
    ):
        PredictionFolder(tmp_path / "artifacts").write(encode_predictions(frame(1)))
