"""How the converting process gives up everything it does not need, before it reads a foreign byte.

The order counts: the network is left while the process has one thread, then memory and time are limited,
and when all files are open a hook refuses every further file, program, socket and import for good.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

_NEW_USER_AND_NET = 0x10000000 | 0x40000000
_REFUSED = (
    *(
        "open",
        "import",
        "exec",
        "compile",
        "socket.",
        "subprocess.",
        "os.",
        "shutil.",
        "tempfile.",
        "ctypes.",
    ),
    *(
        "pty.",
        "urllib.",
        "http.",
        "ftplib.",
        "smtplib.",
        "signal.",
        "mmap.",
        "code.",
        "marshal.",
        "builtins.",
    ),
)
"""Starts of the names of what a process can do that conversion never needs."""


@dataclass(frozen=True)
class Limits:
    """What a conversion may use."""

    memory_bytes: int
    """Address space."""
    cpu_s: int = 600
    """Seconds of processor time."""
    wall_s: int = 900
    """Seconds by the clock; kept by the parent."""
    file_bytes: int = 20 * 2**30
    """Size of the file that is written."""


class RefusedAction(RuntimeError):  # noqa: N818 (what it is, not that it failed)
    """Something the converting process tried that no conversion needs."""


def leave_network() -> bool:
    """Move this process into a network of its own without any device; return whether that worked."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.unshare(_NEW_USER_AND_NET) == 0)


def limit_resources(limits: Limits) -> None:
    """Limit memory, processor time and output, and forbid core files.

    Raises:
        OSError: If the platform does not hold one of the limits.
    """
    import resource

    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))


def refuse_everything_else(refuse: Callable[[str], None] | None = None) -> None:
    """Refuse every further file, program, socket and import of this process; it cannot be undone.

    Args:
        refuse: Told the name of the action before it is refused.
    """

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED) and event not in _HARMLESS:
            if refuse is not None:
                refuse(event)
            _refuse(event)

    sys.addaudithook(hook)


_HARMLESS = frozenset({"builtins.id"})


def _refuse(event: str) -> NoReturn:
    raise RefusedAction(f"the file made its reader try {event!r}")
