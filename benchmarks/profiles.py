"""Where an arm spends its CPU time: the network's operations, our packages, and the functions of ours that cost most.

A timer of CPU time interrupts the main thread a few hundred times per second and gives the CPU seconds since it
last did to the place it finds. A thread that looks would not do: most of scipy's calls of LAPACK let no other run,
and what comes after them would look dear. It costs about a percent and, unlike a tracer, does not make small
functions look dear either. A second run under ``torch.profiler`` divides the network's share by operation.
"""

from __future__ import annotations

import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.contest import Arm, Contest

INTERVAL_S = 0.002
"""CPU time between two looks."""
LEAST_SECONDS = 0.5
"""CPU seconds that are watched at least; a shorter arm runs several times."""
MOST_RUNS = 50
"""Runs of a very short arm."""
FUNCTIONS = 8
"""Most expensive functions that are listed."""
LEAST_SHARE = 0.01
"""Share of the CPU time below which a line joins the rest."""
NETWORK, CHILDREN, REST = "the network (torch, timm)", "child processes", "everything else"
NETWORK_PACKAGES = frozenset({"torch", "timm", "torchvision"})
OURS = "medtransfer"
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "convolution": ("conv", "thnn"),
    "normalisation": ("batch_norm", "layer_norm", "group_norm"),
    "activation": ("relu", "hardswish", "hardsigmoid", "hardtanh", "gelu", "silu", "sigmoid", "clamp"),
    "pooling": ("pool",),
    "matrix product": ("mm", "linear", "bmm", "matmul", "attention"),
    "optimiser": ("_fused_adam", "_foreach", "adam", "sgd"),
    "copies and layout": ("copy", "contiguous", "cat", "clone"),
}
"""Kinds of operations by parts of their names in torch; the first that fits."""


@dataclass(frozen=True)
class Profile:
    """Where one run of an arm went."""

    bar: str
    """Name of the bar."""
    contest: str
    """Name of the contest."""
    arm: str
    """Label of the arm."""
    cpu_s: float
    """CPU seconds of a run, child processes included."""
    shares: Mapping[str, float]
    """Share of them by place, largest first; they sum to 1."""
    functions: Mapping[str, float]
    """Share of the most expensive functions of ours, with the libraries they call, without the network."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**vars(self), "shares": dict(self.shares), "functions": dict(self.functions)}

    def lines(self) -> list[str]:
        """Return Markdown: a heading, a line per place, and a line per function."""
        title = f"**{self.bar} {self.contest}, {self.arm}: {self.cpu_s:.3g} CPU s**"
        places = [f"| {place} | {share:.1%} |" for place, share in self.shares.items()]
        functions = [f"| `{name}` | {share:.1%} |" for name, share in self.functions.items()]
        head = ["", "| where | share |", "|-------|------:|"]
        return [
            title,
            *head,
            *places,
            *(functions and ["", "| our functions | share |", head[2], *functions]),
        ]


def profile_ours(bar: str, contest: Contest) -> Profile:
    """Run our arm of a contest, once to warm it up unless the contest does without, and say where it goes.

    Args:
        bar: Name of the bar.
        contest: Whose arm to run; ours is the one that a goal of "at most" puts above the line.
    """
    arm = contest.ours
    if contest.warm_up:
        arm.work()
    sampler = Sampler()
    runs = 0
    while runs == 0 or (sampler.seconds.total() < LEAST_SECONDS and runs < MOST_RUNS):
        sampler.watch(arm.work)
        runs += 1
    total = sampler.seconds.total()
    network = sampler.seconds.pop(NETWORK, 0.0)
    divided = divide(network, operation_seconds(arm)) if network else {}
    return Profile(
        bar,
        contest.name,
        arm.label,
        total / runs,
        _shares({**divided, **sampler.seconds}, total),
        _largest(sampler.functions, total),
    )


class Sampler:
    """CPU seconds by place of the work it watches.

    Attributes:
        seconds: By place: the network, a package of ours with the libraries it calls, child processes.
        functions: By function of ours, with the libraries it calls.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._last = 0.0

    def watch(self, work: Callable[[], Any]) -> None:
        """Run some work on the main thread and follow it."""
        spawned = _children_seconds()
        self._last = time.process_time()
        others = signal.signal(signal.SIGPROF, self._look)
        signal.siginterrupt(signal.SIGPROF, False)  # noqa: FBT003 - it takes no names
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        try:
            work()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, others)
        if (children := _children_seconds() - spawned) > 0:
            self.seconds[CHILDREN] += children

    def _look(self, _: int, frame: FrameType | None) -> None:
        now = time.process_time()
        place, function = place_of(frame)
        self.seconds[place] += now - self._last
        if function is not None:
            self.functions[function] += now - self._last
        self._last = now


def place_of(frame: FrameType | None) -> tuple[str, str | None]:
    """Return the place a stack belongs to, and the function of ours it is in, None for the network and the rest.

    The innermost frame that is the network's or ours decides, so that time in numpy counts for the
    package of ours that called it.
    """
    for each in _outwards(frame):
        package, inner = _package(each.f_code.co_filename)
        if package in NETWORK_PACKAGES:
            return NETWORK, None
        if package == OURS:
            return f"{OURS}.{inner.parts[0].removesuffix('.py')}", f"{inner}:{each.f_code.co_name}"
    return REST, None


def operation_seconds(arm: Arm) -> dict[str, float]:
    """Return seconds by kind of operation of one more run, as ``torch.profiler`` sees them."""
    from torch.profiler import ProfilerActivity, profile  # takes seconds, and a list of bars needs none

    with profile(activities=[ProfilerActivity.CPU]) as found:
        arm.work()
    seconds: Counter[str] = Counter()
    for event in found.key_averages():
        seconds[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    return dict(seconds)


def kind_of(operation: str) -> str:
    """Return the kind of an operation of torch.

    Example:
        >>> kind_of("aten::mkldnn_convolution"), kind_of("aten::add_")
        ('convolution', 'other operations')
    """
    name = operation.lower()
    kinds = (kind for kind, parts in OPERATIONS.items() if any(part in name for part in parts))
    return next(kinds, "other operations")


def divide(network: float, by_kind: Mapping[str, float]) -> dict[str, float]:
    """Return the network's seconds by kind of operation, in the proportions of another clock."""
    whole = sum(by_kind.values())
    if whole == 0:
        return {NETWORK: network}
    return {f"network: {kind}": network * seconds / whole for kind, seconds in by_kind.items()}


def _shares(seconds: Mapping[str, float], total: float) -> dict[str, float]:
    if total == 0:
        return {REST: 1.0}
    large = {place: spent / total for place, spent in seconds.items() if spent >= LEAST_SHARE * total}
    large[REST] = large.get(REST, 0.0) + 1 - sum(large.values())
    return dict(sorted(large.items(), key=lambda pair: (pair[0] == REST, -pair[1])))


def _largest(functions: Counter[str], total: float) -> dict[str, float]:
    found = functions.most_common(FUNCTIONS)
    return {name: spent / total for name, spent in found if spent >= LEAST_SHARE * total and total > 0}


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _package(file: str) -> tuple[str, Path]:
    """Return the package a file is installed in, and where it lies inside it."""
    parts = Path(file).parts
    for folder in ("site-packages", "src"):
        if folder in parts:
            inside = parts[parts.index(folder) + 1 :]
            return inside[0], Path(*inside[1:])
    return "", Path(file)


def _children_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime
