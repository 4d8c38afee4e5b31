"""What a user may write for a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.store.location import ARTIFACTS_VARIABLE, resolve_location


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ARTIFACTS_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("written", "file", "artifacts"),
    [
        ("results", "results/medtransfer.db", "results/artifacts"),
        ("results.v2", "results.v2/medtransfer.db", "results.v2/artifacts"),
        ("a/b.db", "a/b.db", "a/b.artifacts"),
        ("b.sqlite", "b.sqlite", "b.artifacts"),
    ],
)
def test_a_path_is_a_folder_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, file: str, artifacts: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for location in (written, Path(written), tmp_path / written):
        place = resolve_location(location)
        assert (place.file, place.artifacts) == (tmp_path / file, tmp_path / artifacts)
        assert place.name == str(tmp_path / file)


def test_an_existing_file_is_a_database_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "odd").touch()
    place = resolve_location(tmp_path / "odd")
    assert (place.file, place.artifacts) == (tmp_path / "odd", tmp_path / "odd.artifacts")


def test_artifacts_can_be_elsewhere(tmp_path: Path) -> None:
    assert resolve_location(tmp_path / "store", tmp_path / "files").artifacts == tmp_path / "files"


def test_a_sqlite_address_is_a_file(tmp_path: Path) -> None:
    place = resolve_location(f"sqlite:///{tmp_path}/x.db")
    assert (place.file, place.artifacts) == (tmp_path / "x.db", tmp_path / "x.artifacts")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_takes_artifacts_from_argument_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    address = f"{scheme}://user:secret@host/name"
    with pytest.raises(UsageError, match=ARTIFACTS_VARIABLE) as caught:
        resolve_location(address)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path))
    place = resolve_location(address)
    assert (place.url.drivername, place.file, place.artifacts) == ("postgresql+psycopg", None, tmp_path)
    assert "secret" not in place.name
    assert resolve_location(address, tmp_path / "x").artifacts == tmp_path / "x"


@pytest.mark.parametrize("address", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "://x"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        resolve_location(address)
