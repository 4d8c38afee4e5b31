"""Between arrays of this machine and tensors of a device, without waiting for the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IndexArray = npt.NDArray[np.int64]
Tag = TypeVar("Tag")

BATCHES_AHEAD = 3
"""Batches that may be on their way to a device; it bounds the page-locked memory they lie in."""
BATCHES_BEHIND = 2
"""Batches whose results may be on their way back."""


class DeviceCopies:
    """Copies arrays to a device; to a CUDA device from page-locked memory and beside its computations.

    Args:
        place: Where tensors go.
    """

    def __init__(self, place: torch.device) -> None:
        self.place = place
        self._cuda = place.type == "cuda"
        self._stream: Any = _new_stream(place) if self._cuda else None
        self._under_way: deque[Any] = deque()

    def put(self, values: npt.NDArray[Any] | Tensor) -> Tensor:
        """Return the values on the device, in their own type and memory format."""
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
        return self._sent(tensor.pin_memory()) if self._cuda else tensor.to(self.place)

    def take(self, source: npt.NDArray[Any], rows: IndexArray) -> Tensor:
        """Return some rows of an array, such as a memory map, gathered straight into the memory they leave from."""
        kind = torch.from_numpy(np.empty(0, dtype=source.dtype)).dtype
        gathered = torch.empty((len(rows), *source.shape[1:]), dtype=kind, pin_memory=self._cuda)
        # 'clip' because the other modes gather into a buffer of their own first; rows are in range here.
        np.take(source, rows, axis=0, out=gathered.numpy(), mode="clip")
        return self._sent(gathered) if self._cuda else gathered.to(self.place)

    def pace(self) -> None:
        """Wait while more than ``BATCHES_AHEAD`` batches are under way; to be called once per batch."""
        if not self._cuda:
            return
        self._under_way.append(_event_now(self.place))
        if len(self._under_way) > BATCHES_AHEAD:
            self._under_way.popleft().synchronize()

    def _sent(self, pinned: Tensor) -> Tensor:
        """Start a copy on the stream of copies, and let computations wait for it on the device."""
        computations = torch.cuda.current_stream(self.place)
        with torch.cuda.stream(self._stream):
            sent = pinned.to(self.place, non_blocking=True)
        computations.wait_stream(self._stream)
        sent.record_stream(computations)
        return sent


def read_later(
    items: Iterator[tuple[Tag, tuple[Tensor, ...]]], place: torch.device
) -> Iterator[tuple[Tag, tuple[Tensor, ...]]]:
    """Yield computed tensors on the CPU, in order, each when later ones are already being computed.

    On the CPU nothing is delayed. Elsewhere at most ``BATCHES_BEHIND`` + 1 items are held.

    Args:
        items: Whatever identifies an item, and its tensors on the device.
        place: The device.
    """
    if place.type == "cpu":
        yield from items
        return
    waiting: deque[tuple[Tag, tuple[Tensor, ...], Any]] = deque()
    for tag, tensors in items:
        waiting.append((tag, *_started(tensors, place)))
        if len(waiting) > BATCHES_BEHIND:
            yield _arrived(*waiting.popleft())
    while waiting:
        yield _arrived(*waiting.popleft())


def _started(tensors: tuple[Tensor, ...], place: torch.device) -> tuple[tuple[Tensor, ...], Any]:
    if place.type != "cuda":
        return tuple(tensor.cpu() for tensor in tensors), None
    home = tuple(torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in tensors)
    for here, there in zip(home, tensors, strict=True):
        here.copy_(there, non_blocking=True)
    return home, _event_now(place)


def _arrived(tag: Tag, tensors: tuple[Tensor, ...], event: Any) -> tuple[Tag, tuple[Tensor, ...]]:
    if event is not None:
        event.synchronize()
    return tag, tensors


def _new_stream(place: torch.device) -> Any:
    return torch.cuda.Stream(place)  # type: ignore[no-untyped-call]


def _event_now(place: torch.device) -> Any:
    """Return an event that has happened when the device has done all that was asked of it so far."""
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(place))
    return event
