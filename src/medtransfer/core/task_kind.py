"""The kinds of prediction a target task can ask for."""

from __future__ import annotations

from enum import StrEnum


class TaskKind(StrEnum):
    """What is predicted for a case; decides head, loss and metrics."""

    BINARY = "binary"
    """Two exclusive classes; the second is the positive one."""
    MULTI_CLASS = "multi-class"
    """More than two exclusive classes."""
    MULTI_LABEL = "multi-label"
    """Any number of findings at once, each present or absent."""
    SEGMENTATION = "segmentation"
    """A class per pixel; 0 is background, class k of the task has value k + 1."""

    @property
    def is_classification(self) -> bool:
        """Whether a case has labels rather than a mask."""
        return self is not TaskKind.SEGMENTATION
