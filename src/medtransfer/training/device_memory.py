"""How much device memory this process may use, and how much it has used."""

from __future__ import annotations

import psutil
import torch


def usable_bytes(place: torch.device) -> int:
    """Return the bytes this process may use: its share of a CUDA device's memory, else the machine's memory."""
    if place.type != "cuda":
        return int(psutil.virtual_memory().total)
    share = torch.cuda.get_per_process_memory_fraction(cuda_index(place))
    return int(share * torch.cuda.get_device_properties(place).total_memory)


def limit_use(place: torch.device, share: float) -> None:
    """Let this process use a share of a CUDA device's memory at most, in (0, 1]; other devices know no limit."""
    if place.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, cuda_index(place))


def cuda_index(place: torch.device) -> int:
    """Return the number of a CUDA device; of one without a number, the current one's."""
    return torch.cuda.current_device() if place.index is None else place.index


def start_watching(place: torch.device) -> None:
    """Forget the highest use so far."""
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)


def highest_use_bytes(place: torch.device) -> int | None:
    """Return the most bytes that tensors took at once since watching started; None where nobody counts them."""
    return int(torch.cuda.max_memory_allocated(place)) if place.type == "cuda" else None
