"""A store in a folder, and trials to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medtransfer.store.records import TrialDescription
from medtransfer.store.store import Store


@pytest.fixture
def describe() -> Callable[[str], TrialDescription]:
    """Return a function from a fingerprint to a trial."""
    return lambda name: TrialDescription(name, "task", "model", "linear", {}, 1.0, 0, ())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened
