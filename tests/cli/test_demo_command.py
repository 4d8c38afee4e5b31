"""``medtransfer demo`` as a user starts it; what it computes is tested with the study it makes."""

from __future__ import annotations

from pathlib import Path


def test_help_says_what_is_made_and_where(medtransfer) -> None:
    ended = medtransfer("demo", "--help")
    assert ended.code == 0
    assert "medtransfer-demo" in ended.out
    assert "no download" in ended.out


def test_a_file_in_the_place_of_the_folder_is_refused(medtransfer, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    ended = medtransfer("demo", "--out", tmp_path / "taken")
    assert ended.code == 2
    assert "taken" in ended.err
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(medtransfer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    ended = medtransfer("demo", "--out", tmp_path / "file" / "below", "--workers", 0)
    assert ended.code == 1
    assert str(tmp_path / "file") in ended.err
    assert "Traceback" not in ended.err
