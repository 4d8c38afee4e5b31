"""A folder that people edit too: their files and their changes survive, ours are replaced and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtransfer.core import atomic
from medtransfer.core.errors import UsageError
from medtransfer.reports.paper import owned_files
from medtransfer.reports.paper.owned_files import LEDGER, write_owned


def test_files_are_written_and_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "paper"
    paths = write_owned(folder, {"main.tex": b"1", "tables/a.tex": b"2"})
    assert paths == (folder / "main.tex", folder / "tables" / "a.tex")
    write_owned(folder, {"main.tex": b"other", "tables/a.tex": b"2"})
    assert (folder / "main.tex").read_bytes() == b"other"


def test_a_file_of_somebody_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text("my thesis")
    with pytest.raises(UsageError, match=r"'main\.tex'.*Move them away"):
        write_owned(tmp_path, {"a.tex": b"x", "main.tex": b"y"})
    assert (tmp_path / "main.tex").read_text() == "my thesis"
    assert not (tmp_path / "a.tex").exists()


def test_a_change_is_never_lost(tmp_path: Path) -> None:
    write_owned(tmp_path, {"methods.tex": b"1"})
    (tmp_path / "methods.tex").write_text("mine now")
    with pytest.raises(UsageError, match=r"methods\.tex"):
        write_owned(tmp_path, {"methods.tex": b"2"})
    assert (tmp_path / "methods.tex").read_text() == "mine now"


def test_a_file_that_already_holds_what_would_be_written_is_no_conflict(tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_bytes(b"same")
    write_owned(tmp_path, {"a.tex": b"same"})


def test_what_is_no_longer_part_goes_unless_it_was_changed(tmp_path: Path) -> None:
    write_owned(tmp_path, {"a": b"1", "b": b"2", "c": b"3"})
    (tmp_path / "b").write_text("mine")
    (tmp_path / "notes").write_text("mine too")
    write_owned(tmp_path, {"a": b"1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a", "b", "notes", LEDGER])


def test_a_call_that_was_cut_short_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_owned(tmp_path, {"a": b"1", "b": b"1"})

    def fail_at_b(path: Path, content: bytes | str) -> None:
        if path.name == "b":
            raise OSError(28, "no room")
        atomic.write_atomically(path, content)

    monkeypatch.setattr(owned_files, "write_atomically", fail_at_b)
    with pytest.raises(OSError, match="no room"):
        write_owned(tmp_path, {"a": b"2", "b": b"2"})
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"2"
    write_owned(tmp_path, {"a": b"3", "b": b"3"})
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"3", b"3")


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("keep")
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "main.tex").symlink_to(outside)
    with pytest.raises(UsageError, match=r"main\.tex"):
        write_owned(folder, {"main.tex": b"x"})
    assert outside.read_text() == "keep"


def test_a_forged_list_removes_nothing_outside(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"1")
    folder = tmp_path / "paper"
    write_owned(folder, {"a": b"1"})
    ledger = json.loads((folder / LEDGER).read_text())
    ledger["files"]["../victim"] = ledger["files"]["a"]
    (folder / LEDGER).write_text(json.dumps(ledger))
    write_owned(folder, {"a": b"1"})
    assert victim.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": {"a": 3}}', "\x00"])
def test_a_damaged_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(UsageError, match="as it was written"):
        write_owned(tmp_path, {"a": b"1"})


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "paper").write_text("x")
    with pytest.raises(UsageError, match="expected a folder"):
        write_owned(tmp_path / "paper", {"a": b"1"})
