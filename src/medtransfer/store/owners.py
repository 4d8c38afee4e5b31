"""Who holds a lease, and whether that process still lives on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil


def this_owner() -> str:
    """Return ``host:pid:start`` for this process.

    The host part carries, on Linux, the boot and the process namespace: a process number means nothing to
    another machine or container that happens to have the same name. The start is counted on a clock that
    nobody sets (Linux), so a changed wall clock does not make a living process look dead.
    """
    return f"{_host()}:{os.getpid()}:{_start(os.getpid())}"


def dead_owners(owners: Iterable[str]) -> list[str]:
    """Return those owners that ran on this host and are gone; others may live and are left alone."""
    return [owner for owner in owners if _is_dead(owner)]


def _is_dead(owner: str) -> bool:
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    start = owner.rpartition(":")[2]
    if host != _host() or not rest.isdecimal():
        return False
    return _start(int(rest)) != start


def _host() -> str:
    name = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        return f"{name}/{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return name


def _start(pid: int) -> str | None:
    """Return when a process started; None when it is gone or only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return _start_ticks(pid) or f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def _start_ticks(pid: int) -> str | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    after_name = status.rpartition(b")")[2].split()
    return after_name[19].decode()
