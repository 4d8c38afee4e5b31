"""What tasks of trees and volumes share: files listed, what is left out, splits that count volumes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.opening_problems import left_out, other_total
from medtransfer.tasks.sample_files import write_nifti
from medtransfer.tasks.stored_images import files_below
from medtransfer.tasks.volume_slices import agreed_slices, draw_volume_splits


def test_files_are_sorted_and_hidden_ones_left_out(tmp_path: Path) -> None:
    for name in ("b/2.dcm", "b/1.dcm", "a.dcm", "b/.hidden.dcm", ".trash/3.dcm", "b/4.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_below("task 'x'", tmp_path, ".", (".dcm",)) == ["a.dcm", "b/1.dcm", "b/2.dcm"]
    assert files_below("task 'x'", tmp_path, "b", (".dcm", ".txt")) == ["b/1.dcm", "b/2.dcm", "b/4.txt"]
    with pytest.raises(DataError, match=r"task 'x': expected the folder 'c' in"):
        files_below("task 'x'", tmp_path, "c", (".dcm",))


def test_problems_are_only_made_where_there_is_one() -> None:
    assert left_out("here", "only cases", []) == other_total("here", 3, 3, "volumes") == ()
    (others,) = left_out("here", "only cases", [f"{n}.dcm" for n in range(7)])
    assert others.sentence().startswith("unlisted-image: here: expected only cases, got 7 that no case")
    assert "4.dcm" in others.found
    assert "5.dcm" not in others.found
    (total,) = other_total("here", 3, 2, "volumes")
    assert total.sentence().startswith("unexpected-count: here: expected 3 volumes, got 2.")


def test_slices_are_counted_along_the_axis_that_is_axial(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16))
    write_nifti(tmp_path / "b.nii.gz", np.zeros((6, 7, 5), np.uint8))
    write_nifti(tmp_path / "c.nii", np.zeros((3, 4, 6), np.uint8))
    assert agreed_slices("task 'x'", tmp_path, ("a.nii", "b.nii.gz")) == 5
    with pytest.raises(DataError, match=r"in c\.nii as the 5 of a\.nii, got 6"):
        agreed_slices("task 'x'", tmp_path, ("a.nii", "b.nii.gz", "c.nii"))
    with pytest.raises(DataError, match="leaves it"):
        agreed_slices("task 'x'", tmp_path / "..", ("../a.nii",))


def test_volumes_are_divided_by_number_and_by_nothing_else() -> None:
    names = [f"volume-{number:03}" for number in range(131)]
    splits = draw_volume_splits("lits", names)
    assert list(splits) == names
    assert Counter(splits.values()) == {"train": 92, "val": 13, "test": 26}
    assert draw_volume_splits("lits", names[::-1]) == splits
    assert draw_volume_splits("another", names) != splits


@pytest.mark.parametrize("name", ["rsna_pe", "siim_acr", "lits", "brats", "ct_body_region"])
def test_importing_a_task_imports_no_reader(name: str) -> None:
    program = (
        f"import sys, medtransfer.tasks.{name}\n"
        "print(sorted({'torch', 'pydicom', 'nibabel'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
