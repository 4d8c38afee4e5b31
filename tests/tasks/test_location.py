"""How a task finds its folder below the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.drive import drive_vessel
from medtransfer.tasks.location import locate_task
from medtransfer.tasks.phantom_tasks import phantom_tasks


def test_folders_are_tried_in_order(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    assert locate_task(drive_vessel, tmp_path) == tmp_path / "drive"
    (tmp_path / "drive" / "DRIVE").mkdir()
    assert locate_task(drive_vessel, tmp_path) == tmp_path / "drive" / "DRIVE"


def test_the_user_may_name_another_below_or_absolute(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "mine").mkdir()
    assert locate_task(drive_vessel, tmp_path, "mine") == tmp_path / "mine"
    assert locate_task(drive_vessel, None, str(tmp_path / "mine")) == tmp_path / "mine"


def test_every_place_that_was_tried_is_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        locate_task(drive_vessel, tmp_path)
    assert all(str(tmp_path / folder) in str(refused.value) for folder in drive_vessel.folders)
    assert "--data" in str(refused.value)
    assert drive_vessel.url in str(refused.value)


def test_phantoms_need_no_folder() -> None:
    assert locate_task(phantom_tasks[0], None) == Path()
