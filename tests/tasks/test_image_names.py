"""Image files by name: all of them, in order, and none of another form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.image_names import image_names

PATTERN = re.compile(r"A(\d+)\.png")


def names(root: Path) -> dict[str, re.Match[str]]:
    return image_names("task 'a'", root, "pictures", PATTERN, "A1.png")


def filled(root: Path, *files: str) -> Path:
    (root / "pictures").mkdir()
    for name in files:
        (root / "pictures" / name).write_bytes(b"")
    return root


def test_names_come_sorted_with_their_parts(tmp_path: Path) -> None:
    found = names(filled(tmp_path, "A10.png", "A1.png", "A2.png", "readme.txt", "Thumbs.db", ".A5.png"))
    assert [(name, match.group(1)) for name, match in found.items()] == [
        ("A1.png", "1"),
        ("A10.png", "10"),
        ("A2.png", "2"),
    ]


@pytest.mark.parametrize(
    "name", ["A1.PNG", "B1.png", "A1 copy.png", "A1.png.png", "A.png", "A1.jpg", "A1.IMG"]
)
def test_an_image_of_another_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=re.escape(f"pictures: expected images named like 'A1.png', got {name!r}")
    ):
        names(filled(tmp_path, "A1.png", name) if name != "A1.PNG" else filled(tmp_path, "A2.png", name))


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder 'pictures'"):
        names(tmp_path)
    with pytest.raises(DataError, match="got none"):
        names(filled(tmp_path, "readme.txt"))
