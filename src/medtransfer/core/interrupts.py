"""Blocks that Ctrl-C and a scheduler's signal must not tear: what arrives meanwhile is heard right after them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Hold interrupts back inside the block; their handlers are called when it has ended, well or not.

    Only the main thread is ever interrupted, so in others nothing is done. Handlers that are not functions of
    Python, which end the process at once or ignore the signal, stay as they are.

    Example:
        >>> with interrupts_held_back():
        ...     print("whole")
        whole
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {
        number: handler for number, handler in found.items() if callable(handler)
    }
    heard: list[tuple[int, FrameType | None]] = []
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: heard.append((number, frame)))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in heard:
            handlers[number](number, frame)
