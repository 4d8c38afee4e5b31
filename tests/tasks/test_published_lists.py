"""Lists of other studies in ``splits/``: known by their hashes whatever their names, never half of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks import published_lists
from medtransfer.tasks.published_lists import FOLDER, read_published_lists

LISTS = {"train": b"a.png 0 1\nb.png 1 0\n", "val": b"c.png 0 0\n", "test": b"d.png 1 1\n"}
STARTS = {split: hashlib.sha256(content).hexdigest()[:12] for split, content in LISTS.items()}

Put = Callable[[Mapping[str, bytes]], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write files into ``splits/`` of a data set's folder, which is returned."""

    def write(files: Mapping[str, bytes]) -> Path:
        (tmp_path / FOLDER).mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / FOLDER / name).write_bytes(content)
        return tmp_path

    return write


def read(root: Path) -> dict[str, list[str]] | None:
    return read_published_lists("t", root, STARTS)


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "val.txt", "test.txt"),
        ("train_1.txt", "z.txt", ".txt"),
        ("test.txt", "train.txt", "x.txt"),
    ],
    ids=["as published", "renamed", "names exchanged"],
)
def test_what_a_list_is_its_hash_says(put: Put, names: tuple[str, ...]) -> None:
    root = put(dict(zip(names, LISTS.values(), strict=True)))
    assert read(root) == {"train": ["a.png 0 1", "b.png 1 0"], "val": ["c.png 0 0"], "test": ["d.png 1 1"]}


def test_blanks_and_blank_lines_are_no_entries(put: Put) -> None:
    content = "\n  é.png 0\t\r\n\nb.png 1".encode()
    starts = {"train": hashlib.sha256(content).hexdigest()}
    assert read_published_lists("t", put({"x.txt": content}), starts) == {"train": ["é.png 0", "b.png 1"]}


def test_a_copy_of_a_list_changes_nothing(put: Put) -> None:
    root = put({f"{split}.txt": content for split, content in LISTS.items()})
    before = read(root)
    assert read(put({"copy of val.txt": LISTS["val"]})) == before


@pytest.mark.parametrize("files", [None, {}, {"t.csv": b"x", "list.TXT2": b"y", "README": b"z"}])
def test_without_lists_there_is_none(put: Put, tmp_path: Path, files: Mapping[str, bytes] | None) -> None:
    root = tmp_path if files is None else put(files)
    assert read(root) is None


def test_a_data_set_that_is_one_file_has_no_lists(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"x")
    assert read(tmp_path / "set.npz") is None


@pytest.mark.parametrize("content", [LISTS["val"][:-1], LISTS["val"] + b"\n", b"", b"c.png 0 1\n"])
def test_a_list_that_was_changed_is_refused_with_both_hashes(put: Put, content: bytes) -> None:
    root = put({"train.txt": LISTS["train"], "val.txt": content, "test.txt": LISTS["test"]})
    with pytest.raises(DataError) as refused:
        read(root)
    text = str(refused.value)
    assert text.startswith("task 't': splits/val.txt: expected one of the published lists (SHA-256 ")
    for split, start in STARTS.items():
        assert f"{split} {start}…" in text
    assert f"got {hashlib.sha256(content).hexdigest()[:8]}…" in text


def test_an_incomplete_set_of_lists_is_refused(put: Put) -> None:
    root = put({"a.txt": LISTS["val"]})
    with pytest.raises(
        DataError,
        match=r"^task 't': splits: .*of \['train', 'val', 'test'\], got none for \['train', 'test'\]",
    ):
        read(root)
    assert read(put({"b.txt": LISTS["test"], "c.txt": LISTS["train"]})) is not None


def test_a_file_too_large_for_a_list_is_not_hashed_to_know(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put({f"{split}.txt": content for split, content in LISTS.items()})
    monkeypatch.setattr(published_lists, "_MAX_BYTES", len(LISTS["train"]))
    assert read(root) is not None
    monkeypatch.setattr(published_lists, "_MAX_BYTES", len(LISTS["train"]) - 1)
    with pytest.raises(DataError, match=r"splits/train\.txt: expected one of the published lists"):
        read(root)
