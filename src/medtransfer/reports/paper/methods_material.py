"""Methods in words: target tasks, source models, and whether pretraining has seen the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.paper.bibliography import NOT_PUBLISHED, work_of_architecture, works_cited
from medtransfer.reports.paper.prose import Passage, Piece, cite, sentences
from medtransfer.reports.phrases import count, listed, short_hash
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.tasks import SPLIT_SOURCES, accepted_problems

_KINDS = {
    TaskKind.BINARY: "binary classification",
    TaskKind.MULTI_CLASS: "classification into one of several classes",
    TaskKind.MULTI_LABEL: "multi-label classification",
    TaskKind.SEGMENTATION: "segmentation",
}
_MOST_CLASSES = 20


def tasks_passage(reading: StudyReading) -> Passage:
    """Return what every target task is: cases, patients, split, metric, data."""
    pieces: list[Piece] = [f"The study has {count(len(reading.tasks), 'target task')}."]
    for task in reading.tasks.values():
        pieces += _task(task)
    return Passage("Target tasks", tuple(pieces))


def cautions_passage(reading: StudyReading) -> Passage | None:
    """Return what must stand beside the results of single tasks; None when there is nothing."""
    found = [caution for task in reading.tasks.values() for caution in _cautions(task)]
    return Passage("Cautions", tuple(sentences(*found))) if found else None


def models_passage(reading: StudyReading) -> Passage:
    """Return where every source model starts from: network, pretraining, weights."""
    pieces: list[Piece] = [f"The study has {count(len(reading.models), 'source model')}."]
    for model in reading.models.values():
        pieces += _model(model)
    return Passage("Source models", tuple(pieces))


def overlap_passage(reading: StudyReading) -> Passage:
    """Return for how many pairs pretraining has, or may have, seen images of the task."""
    pairs: dict[tuple[str, str], tuple[str, str]] = {}
    for panel, row, cell in reading.cells():
        del panel
        pairs[row.row.task, cell.place.model] = (cell.overlap, cell.overlap_reason)
    numbers = {status: sum(s == status for s, _ in pairs.values()) for status in _OVERLAP}
    counted = [f"{number} {_OVERLAP[status]}" for status, number in numbers.items() if number]
    other = len(pairs) - sum(numbers.values())
    text = f"Of {count(len(pairs), 'pair')} of a source model and a target task, "
    text += listed(counted + ([f"{other} of another status"] if other else []), most=9) + "."
    reasons = dict.fromkeys(reason for status, reason in pairs.values() if status != "clean" and reason)
    why = f"Reasons: {'; '.join(reasons)}." if reasons else ""
    return Passage("Overlap with pretraining", (text, *sentences(why)))


_OVERLAP = {
    "clean": "had no known overlap",
    "same": "were left out because the model was pretrained on the images of the task",
    "source": "share images under different names and are marked",
    "unknown": "could not be checked because the pretraining images are not known, and are marked",
}


def _cautions(task: ReportTask) -> Iterator[str]:
    if task.phantom:
        yield f"{task.label}: every image is generated; results say nothing about patients."
    if task.facts.get("caution"):
        yield _ended(f"{task.label}: {task.facts['caution']}")
    for problem in accepted_problems(task):
        yield (
            f"{task.label}: accepted for this study: {problem.what} in {problem.where}, expected "
            f"{problem.expected}, got {_ended(problem.found)}"
        )


def _task(task: ReportTask) -> Iterator[Piece]:
    facts = task.facts
    title = str(facts.get("title") or "")
    yield f" {task.label}{f' ({title})' if title and title != task.name else ''}"
    yield from cite(*works_cited(str(facts.get("citation") or "")))
    classes = listed([str(name) for name in task.classes], most=_MOST_CLASSES)
    yield f": {_KINDS[task.kind]} ({classes}); {_cases(facts)}; {_patients(facts)}"
    source = str(facts.get("split_source", "unknown"))
    yield f"; split: {SPLIT_SOURCES.get(source, source).removesuffix(' split')}; primary metric {task.primary.title}"
    others = [metric.title for metric in task.metrics[1:]]
    yield f", also {listed(others, most=9)}" if others else ""
    yield f"; data of digest {short_hash(task.data_hash)}" if task.data_hash else ""
    licence = str(facts.get("licence") or "")
    yield "." if licence in NOT_PUBLISHED else f"; licence of the data: {licence}."


def _cases(facts: Any) -> str:
    counts = facts.get("split_counts") or {}
    if not counts:
        return "numbers of cases not recorded"
    parts = [
        f"{int(counts.get(s, 0)):,} {name}" for s, name in (("train", "training"), ("val", "validation"))
    ]
    volumes = facts.get("volumes")
    of_volumes = f", slices of {count(int(volumes), 'volume')}" if volumes else ""
    return f"{', '.join(parts)} and {count(int(counts.get('test', 0)), 'test case')}{of_volumes}"


def _patients(facts: Any) -> str:
    if not facts.get("patients_known", True):
        return "patients not known, so every case counts as its own"
    if facts.get("patients") is None:
        return "number of patients not recorded"
    return f"{count(int(facts['patients']), 'patient')}"


def _model(model: ReportModel) -> Iterator[Piece]:
    facts = model.facts
    architecture = str(facts.get("architecture") or "")
    yield f" {model.label}: "
    yield f"network {architecture}" if architecture else "network not recorded"
    yield from cite(work_of_architecture(architecture))
    yield f", {_pretraining(facts.get('pretraining') or {})}"
    yield from cite(*works_cited(str(facts.get("model_citation") or "")))
    weights = str(facts.get("weights_hash") or "random")
    if weights != "random":
        yield f"; weights of digest {short_hash(weights)}"
        licence = facts.get("model_licence")
        yield f"; licence of the weights: {licence}" if licence else ""
    yield "."
    yield from sentences(_ended(str(facts.get("model_note") or "")))


def _pretraining(pretraining: Any) -> str:
    objective = str(pretraining.get("objective") or "undeclared")
    if objective == "none":
        return "seeded random weights"
    data = (
        listed([str(name) for name in pretraining.get("data") or ()], most=9) or "data that are not declared"
    )
    year = f" ({pretraining['year']})" if pretraining.get("year") else ""
    if objective == "undeclared":
        return f"pretrained on {data} with an objective that is not declared{year}"
    how = "with supervision" if objective == "supervised" else f"by {objective}"
    return f"pretrained {how} on {data}{year}"


def _ended(text: str) -> str:
    return text if not text or text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."
