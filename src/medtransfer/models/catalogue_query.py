"""Which source models of the catalogue somebody asks for, and what each has seen of a task; no torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from medtransfer.models.overlap import Overlap, OverlapStatus, overlap
from medtransfer.models.source_model import SourceModel


@dataclass(frozen=True)
class CatalogueQuery:
    """What a source model must have; an empty text asks for nothing.

    A text is looked for anywhere, ignoring case; one with ``*`` or ``?`` must match the whole.
    """

    architecture: str = ""
    """In the name of the architecture."""
    method: str = ""
    """In the objective of the pretraining, such as ``simclr``."""
    data: str = ""
    """In the name of a collection it was trained on."""
    licence: str = ""
    """In the licence."""
    study: str = ""
    """A published study that used it: ``A``, ``B`` or ``C``."""
    image_sets: tuple[str, ...] = ()
    """Collections of a task."""
    status: OverlapStatus | None = None
    """What it must have seen of that task; None for anything."""

    def admits(self, model: SourceModel) -> bool:
        """Return whether a model is asked for."""
        wanted = (
            (self.architecture, (model.architecture.name,)),
            (self.method, (model.pretraining.objective,)),
            (self.data, model.pretraining.data),
            (self.licence, (model.licence,)),
        )
        if not all(matches(pattern, values) for pattern, values in wanted if pattern):
            return False
        if self.study and self.study.upper() not in model.studies:
            return False
        return self.status is None or self.overlap(model).status == self.status

    def overlap(self, model: SourceModel) -> Overlap:
        """Return what a model has seen of the task."""
        return model_overlap(model, self.image_sets)


def matches(pattern: str, values: Iterable[str]) -> bool:
    """Return whether a pattern is found in any value.

    Example:
        >>> matches("ResNet", ["resnet50"]), matches("resnet", []), matches("resnet*0", ["resnet50"])
        (True, False, True)
        >>> matches("net*0", ["resnet50"])
        False
    """
    sought = pattern.lower()
    if "*" in sought or "?" in sought:
        return any(fnmatchcase(value.lower(), sought) for value in values)
    return any(sought in value.lower() for value in values)


def model_overlap(model: SourceModel, image_sets: Sequence[str]) -> Overlap:
    """Return what a source model has seen of the images of a task."""
    return overlap(model.pretraining.data, model.pretraining.objective, tuple(image_sets))


def overlaps_by_status(
    model: SourceModel, tasks: Mapping[str, Sequence[str]]
) -> dict[OverlapStatus, dict[str, str]]:
    """Return for each status the tasks that have it, with the reason, the gravest first.

    Args:
        model: Source model.
        tasks: Task name to the collections of its images.

    Example:
        >>> from medtransfer.models.catalogue import resolve_model
        >>> overlaps_by_status(resolve_model("resnet20.sup_cifar10"), {"busi": ("busi",)})["clean"]
        {'busi': 'cifar10 holds no image of busi'}
    """
    found: dict[OverlapStatus, dict[str, str]] = {"same": {}, "source": {}, "unknown": {}, "clean": {}}
    for name, image_sets in tasks.items():
        relation = model_overlap(model, image_sets)
        found[relation.status][name] = relation.reason
    return found
