"""What a bar consists of: contests between two arms that do the same work, and a goal for their ratio."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Goal:
    """What a ratio should reach."""

    value: float
    """The bound, itself included."""
    at_least: bool = True
    """Whether more is better."""

    def met_by(self, ratio: float) -> bool:
        """Return whether a ratio is on the right side.

        Example:
            >>> Goal(5, at_least=False).met_by(4.7), Goal(20).met_by(19)
            (True, False)
        """
        return ratio >= self.value if self.at_least else ratio <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Arm:
    """One side of a contest."""

    label: str
    """What does the work."""
    work: Callable[[], Any]
    """Does all of it once and returns what the verdict needs."""
    units: float = 1.0
    """Amount of work; CPU seconds are divided by it."""


@dataclass(frozen=True)
class Verdict:
    """Whether the arms did the same work."""

    equal: bool
    """False makes the contest lost, whatever the ratio."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was found; JSON values."""


def _taken_as_equal(results: Mapping[str, Any]) -> Verdict:  # noqa: ARG001 (the interface)
    return Verdict(equal=True)


@dataclass(frozen=True)
class Contest:
    """Two arms whose CPU seconds per unit of work are divided by each other."""

    name: str
    """What is measured, such as ``resnet18@128 training``."""
    numerator: Arm
    """The arm whose seconds are divided."""
    denominator: Arm
    """The arm whose seconds they are divided by."""
    goal: Goal | None
    """For the ratio; None where it is only of interest."""
    verify: Callable[[Mapping[str, Any]], Verdict] = _taken_as_equal
    """Gets the last result of each arm by its label."""
    also: tuple[Arm, ...] = ()
    """Arms that are timed beside them, for information."""
    warm_up: bool = True
    """Whether every arm runs once before it is timed."""
    clock: Callable[[Callable[[], Any]], tuple[float, Any]] | None = None
    """Runs an arm and returns its seconds and its result; None for CPU seconds of this process."""
    speed: Callable[[], float] | None = None
    """Seconds of a fixed piece of work that tells how fast the machine is now; None for a product on the CPU."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms, in the order of an even repeat."""
        return (self.numerator, self.denominator, *self.also)

    @property
    def ours(self) -> Arm:
        """The arm that is to be fast: above the line where the goal is an upper bound, else below it."""
        return self.denominator if self.goal is None or self.goal.at_least else self.numerator


@dataclass(frozen=True)
class NotMeasured:
    """A contest that this machine cannot hold; neither met nor missed."""

    name: str
    """What would be measured."""
    goal: Goal
    """For its ratio."""
    reason: str
    """What the machine lacks, as in ``no CUDA device``."""


@dataclass(frozen=True)
class Bar:
    """One bar of the design."""

    title: str
    """In a few words."""
    definition: str
    """What is divided by what."""
    function: str
    """``module:function`` that is given ``quick`` and an empty folder and yields contests."""

    def contests(self, folder: Path, *, quick: bool) -> Iterator[Contest | NotMeasured]:
        """Yield the contests, each built when the one before it has been measured.

        Args:
            folder: Empty; everything a contest writes goes there.
            quick: Whether to shrink the work: the numbers then mean nothing.
        """
        module, _, name = self.function.partition(":")
        build = getattr(importlib.import_module(module), name)
        yield from build(folder, quick=quick)
