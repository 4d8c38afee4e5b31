"""What lies in folders against what label files name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.cell_values import cell_values
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import refuse_missing, stored_images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "b.png",
        "A.PNG",
        "a.txt",
        ".b.png",
        "p2/s1/c.png",
        "p1/s9/d.png",
        "p1/e.png",
        "p1/.s/f.png",
    ):
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).touch()
    (tmp_path / "files" / "folder.png").mkdir()
    return tmp_path


def test_images_of_one_depth_are_found_in_order(root: Path) -> None:
    assert stored_images(root, "files", (".png",)) == ["files/A.PNG", "files/b.png"]
    assert stored_images(root, "files", (".png", ".txt"))[1] == "files/a.txt"
    assert stored_images(root, "files", (".png",), depth=1) == ["files/p1/e.png"]
    assert stored_images(root, "files", (".png",), depth=2) == ["files/p1/s9/d.png", "files/p2/s1/c.png"]
    assert stored_images(root, "files", (".png",), depth=5) == []
    assert stored_images(root, "elsewhere", (".png",)) == []


def test_missing_images_are_named_with_their_lines_five_at_most() -> None:
    listed = pd.Series(["a", "b", "c", "d", "e", "f", "g"], index=range(2, 9))
    refuse_missing("task 't'", "x.csv", listed, {"a", "b", "c", "d", "e", "f", "g", "h"})
    with pytest.raises(DataError) as refused:
        refuse_missing("task 't'", "x.csv", listed, {"b"})
    named = "line 2: 'a'; line 4: 'c'; line 5: 'd'; line 6: 'e'; line 7: 'f'; and 1 more"
    assert named in str(refused.value)
    assert str(refused.value).startswith("task 't': x.csv: expected")


def test_unlisted_images_are_counted_and_named() -> None:
    assert unlisted_images("x.csv", ["a", "b"], ["b"]) == ()
    (problem,) = unlisted_images("x.csv", ["a"], ["c", "a", "b"])
    assert (problem.what, problem.where) == ("unlisted-image", "x.csv")
    assert problem.found.startswith("2 that no case is made from")
    assert "['b', 'c']" in problem.found


def test_cells_mean_what_is_declared_and_nothing_else() -> None:
    cells = pd.Series(["yes", "no", "yes"], index=[2, 3, 5], name="ill")
    assert cell_values("task 't'", "x.csv", cells, {"yes": 1, "no": 0}).to_dict() == {2: 1, 3: 0, 5: 1}
    with pytest.raises(DataError, match=r"x\.csv: column 'ill'.*\['yes'\].*line 3: 'no'"):
        cell_values("task 't'", "x.csv", cells, {"yes": 1})
