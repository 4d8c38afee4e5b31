"""Which of several devices a worker process takes, and which share of its memory is its own."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import filelock
import platformdirs

from medtransfer.core.errors import UsageError

SHARED_PART = 0.95
"""Part of a device's memory that the workers on it share; the rest is the driver's."""
MOST_WORKERS = 1024
"""Processes of one user that may work on one device."""

_HELD: dict[str, tuple[str, filelock.BaseFileLock | None]] = {}
"""Device and lock by the list it was taken from, for as long as this process lives."""


def parse_devices(text: str) -> tuple[str, ...]:
    """Return the devices of a list such as ``cuda:0,cuda:1``; one is a list, too.

    Raises:
        UsageError: If one is empty or named twice, or several are not all CUDA devices with a number.

    Example:
        >>> parse_devices("cuda:0, cuda:1"), parse_devices("cpu")
        (('cuda:0', 'cuda:1'), ('cpu',))
    """
    names = tuple(part.strip() for part in text.split(","))
    several = len(names) > 1
    numbered = all(name.startswith("cuda:") and name.removeprefix("cuda:").isdecimal() for name in names)
    if not all(names) or len(set(names)) < len(names) or (several and not numbered):
        raise UsageError(
            f"device {text!r}: expected one name such as 'cpu' or 'cuda', or different ones such as "
            "'cuda:0,cuda:1'. Correct the list."
        )
    return names


def require_device(name: str) -> None:
    """Raise unless this machine has a device.

    Raises:
        UsageError: If not; what torch says is part of the message.
        OutOfMemoryError: Of torch, if the device is there and full.
    """
    import torch

    try:
        torch.empty(1, device=name)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(
            f"device {name!r}: expected one this machine has, such as 'cpu', got: {said[0].rstrip('.')}."
        ) from error


def refuse_missing_devices(text: str) -> None:
    """Raise unless this machine has every device of a list.

    No context is created on CUDA devices, and for the CPU torch is not imported.

    Raises:
        UsageError: If the list is wrong or a device is not there.
    """
    for name in parse_devices(text):
        if name.partition(":")[0] == "cuda":
            _refuse_missing_cuda(name)
        elif name != "cpu":
            require_device(name)


def claim_device(text: str, workers: int) -> str:
    """Return the device this process works on from now on: of several, one that the fewest others hold.

    Who holds which is told by locked files that belong to this machine and user, so that the workers of
    one run, those that replace dead ones and those of other runs spread over the devices without a master.

    Args:
        text: A device or a list of them; see :func:`parse_devices`.
        workers: Worker processes of the run, on all devices together; 0 for this process alone. Each may
            use an equal part of its device's memory.

    Raises:
        UsageError: If the list is wrong or this machine lacks the device.
    """
    if text not in _HELD:
        names = parse_devices(text)
        name, lock = (names[0], None) if len(names) == 1 else _least_held(names)
        require_device(name)
        _limit_memory(name, math.ceil(workers / len(names)))
        _HELD[text] = (name, lock)
    return _HELD[text][0]


def _refuse_missing_cuda(name: str) -> None:
    import torch

    number, found = name.partition(":")[2] or "0", torch.cuda.device_count()
    if not number.isdecimal() or int(number) >= found:
        raise UsageError(
            f"device {name!r}: expected one this machine has, such as 'cpu', got {found} CUDA devices that torch "
            "finds. Correct --device, or install the driver and a torch for it."
        )


def _least_held(names: tuple[str, ...]) -> tuple[str, filelock.BaseFileLock]:
    folder = Path(platformdirs.user_runtime_dir("medtransfer")) / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in product(range(MOST_WORKERS), names):
        lock = filelock.FileLock(folder / f"{name.replace(':', '-')}.{number}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            continue
        return name, lock
    raise UsageError(f"devices {', '.join(names)}: expected fewer than {MOST_WORKERS} processes on each.")


def _limit_memory(name: str, workers: int) -> None:
    if workers > 1 and name.startswith("cuda"):
        import torch

        from medtransfer.training.device_memory import limit_use

        limit_use(torch.device(name), SHARED_PART / workers)
