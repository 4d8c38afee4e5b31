"""The label file of the NIH sample against the csv module and nothing else."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from medtransfer.tasks.chest_xray14 import FINDINGS, NO_FINDING, read_chestxray14_labels

pytestmark = pytest.mark.real


def test_the_real_labels_of_the_sample_are_read_as_they_stand(shared_data: Path) -> None:
    folder = shared_data / "labels" / "chestxray14"
    with (folder / "sample_labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = read_chestxray14_labels(folder, "sample_labels.csv")
    assert len(rows) > 5000
    assert table["image"].tolist() == [row["Image Index"] for row in rows]
    assert [int(patient) for patient in table["patient"]] == [int(row["Patient ID"]) for row in rows]
    for name in (*FINDINGS, NO_FINDING):
        assert table[name].tolist() == [int(name in row["Finding Labels"].split("|")) for row in rows]
    counts = Counter(name for row in rows for name in row["Finding Labels"].split("|"))
    assert table[[*FINDINGS, NO_FINDING]].sum().to_dict() == counts
    assert (counts["Infiltration"], counts["Hernia"], counts[NO_FINDING]) == (966, 13, 3040)
    assert table["patient"].nunique() == len({row["Patient ID"] for row in rows})
