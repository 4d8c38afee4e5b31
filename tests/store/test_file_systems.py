"""Network file systems are told from local ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from medtransfer.core.errors import StoreError
from medtransfer.store.file_systems import file_system_type, is_network_type
from medtransfer.store.store import Store


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch):
    def pretend(*pairs: tuple[object, str]) -> None:
        parts = [SimpleNamespace(mountpoint=str(point), fstype=kind) for point, kind in pairs]
        monkeypatch.setattr(psutil, "disk_partitions", lambda **options: parts)

    return pretend


def test_the_innermost_and_latest_mount_counts(tmp_path: Path, mounts) -> None:
    mounts(
        ("/", "ext4"), (tmp_path / "net", "xfs"), (tmp_path / "net", "NFS4"), (tmp_path / "network", "tmpfs")
    )
    assert file_system_type(tmp_path / "net" / "deep" / "x.db") == "nfs4"
    assert file_system_type(tmp_path / "other") == "ext4"
    assert file_system_type(tmp_path / "network") == "tmpfs"


def test_an_unknown_file_system_has_no_name(tmp_path: Path, mounts) -> None:
    mounts()
    assert file_system_type(tmp_path) == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "lustre", "fuse", "fuse.sshfs", "fuse.glusterfs"])
def test_stores_on_network_file_systems_are_refused_before_anything_is_written(
    tmp_path: Path, mounts, kind: str
) -> None:
    mounts(("/", "ext4"), (tmp_path, kind))
    assert is_network_type(kind)
    with pytest.raises(
        StoreError, match=rf"expected a local disk, got file system type '{kind}'.*postgresql://"
    ):
        Store.open(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "apfs", "", "fuseblk", "fuse.fuse-overlayfs"]
)
def test_local_ones_are_not(kind: str) -> None:
    assert not is_network_type(kind)
