"""What a device may do to a trial besides computing it: run out of memory, or stop working for this process."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import Any, Final

OUT_OF_MEMORY: Final = "out_of_memory"
"""Reason of a trial that wanted more memory than there was."""
DEVICE_LOST: Final = "device_lost"
"""Reason of a trial after which this process can compute nothing more on its device."""

_OUT_OF_MEMORY_TEXTS = ("can't allocate memory", "out of memory", "std::bad_alloc")
"""What torch's allocators say where they raise a plain error: those of the CPU, of page-locked memory, of C++."""


@dataclass(frozen=True)
class DeviceFault:
    """Why a device did not finish a trial."""

    reason: str
    """:data:`OUT_OF_MEMORY` or :data:`DEVICE_LOST`."""
    message: str
    """What was expected, what happened, and what to do."""

    @property
    def ends_process(self) -> bool:
        """Whether only another process can go on using the device."""
        return self.reason == DEVICE_LOST


def device_fault(error: BaseException, device: str) -> DeviceFault | None:
    """Return what an exception says about its device; None where it says nothing about it.

    Args:
        error: What a computation raised.
        device: Where it ran, such as ``cpu`` or ``cuda:0``.

    Example:
        >>> device_fault(MemoryError("no room"), "cpu").reason
        'out_of_memory'
        >>> device_fault(RuntimeError("shapes differ"), "cpu") is None
        True
    """
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if _is_out_of_memory(error):
        return DeviceFault(
            OUT_OF_MEMORY,
            f"device {device!r}: expected memory enough for the trial, got {said!r}. Use fewer workers, smaller "
            "images, a smaller 'batch_size', or 'micro_batch', which computes a batch in parts.",
        )
    if _is_lost(error):
        return DeviceFault(
            DEVICE_LOST,
            f"device {device!r}: expected it to go on computing, got {said!r}. Look at the driver's log, and run "
            "the trial again with CUDA_LAUNCH_BLOCKING=1 to learn which operation it was.",
        )
    return None


def release_device_memory() -> None:
    """Give memory that nothing uses any more back to the devices; call it when no traceback is alive."""
    gc.collect()
    torch = _torch()
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _is_out_of_memory(error: BaseException) -> bool:
    torch = _torch()
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY_TEXTS)


def _is_lost(error: BaseException) -> bool:
    torch = _torch()
    return torch is not None and isinstance(error, torch.AcceleratorError)


def _torch() -> Any:
    """Return torch where something has imported it: else it cannot have raised anything."""
    return sys.modules.get("torch")
