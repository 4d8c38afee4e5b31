"""Which file systems are shared over a network, where SQLite's write-ahead log would lose data."""

from __future__ import annotations

from pathlib import Path

import psutil

NETWORK_TYPES = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "davfs", "fhgfs", "glusterfs", "gpfs", "lustre", "ncpfs"}
    | {"nfs", "nfs3", "nfs4", "orangefs", "pvfs2", "smb2", "smb3", "smbfs"}
)
"""File system types that several machines mount at once."""

_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs"})


def file_system_type(path: Path) -> str:
    """Return the type of the file system that holds, or would hold, ``path``; empty when unknown."""
    place = path.resolve()
    mounts = [(Path(part.mountpoint), part.fstype) for part in psutil.disk_partitions(all=True)]
    holding = [
        (len(point.parts), n, kind) for n, (point, kind) in enumerate(mounts) if place.is_relative_to(point)
    ]
    return max(holding, default=(0, 0, ""))[2].lower()  # of two mounts on one point the later one shows


def is_network_type(kind: str) -> bool:
    """Return whether a file system type is, or may be, shared between machines.

    File systems in user space (FUSE) count as shared: most are network mounts and few keep the locks
    and shared memory that a write-ahead log needs.

    Example:
        >>> is_network_type("nfs4"), is_network_type("fuse.sshfs"), is_network_type("ext4")
        (True, True, False)
    """
    if kind in _LOCAL_FUSE:
        return False
    return kind in NETWORK_TYPES or kind == "fuse" or kind.startswith("fuse.")
