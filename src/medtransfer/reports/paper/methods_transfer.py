"""Methods in words: how models were transferred, on which labels, with which seeds, and what chose the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.label_orders import USUAL_ORDER, divided_patients, label_order
from medtransfer.reports.paper.methods_training import image_size, trained_part, training
from medtransfer.reports.paper.prose import Passage, Piece, cite, sentences
from medtransfer.reports.phrases import count, listed, percent, setting, settings
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import Block

_NORMALISED = {
    "study": "the mean and standard deviation of the training images of each task",
    "imagenet": "the mean and standard deviation of ImageNet",
    "chest-xray": "a mean and a standard deviation of chest X-rays, the same for all source models",
    "minmax": "stretching every image to the range from 0 to 1",
}


def protocol_passages(reading: StudyReading) -> Iterator[Passage]:
    """Yield a passage per protocol with its resolved settings, every one of them."""
    blocks = {panel.number: panel.block for panel in reading.panels}
    for block in blocks.values():
        pieces: list[Piece] = []
        for kinds, values in _by_settings(block).items():
            told = dict(block.settings[kinds[0]])
            kind = TaskKind(kinds[0])
            kinds_told = listed(list(kinds), most=9)
            pieces += [f" For {kinds_told} tasks, ", *_described(block.protocol, kind, told)]
            pieces.append(f" All settings: {values or 'none'}.")
        yield Passage(f"Protocol {block.label}", tuple(pieces))


def labels_passage(reading: StudyReading) -> Passage:
    """Return which shares of the training labels were used, and how the subsets were drawn."""
    below = [fraction for fraction in reading.fractions if fraction < 1]
    if not below:
        return Passage("Labels", ("All training cases were used.",))
    shares = listed([percent(fraction) for fraction in reading.fractions], most=9)
    orders = sorted({order for record in reading.records if (order := label_order(record))})
    told = [
        _whole_patients(reading) if order == USUAL_ORDER else _one_list(reading, order) for order in orders
    ]
    return Passage(
        "Label fractions",
        tuple(
            sentences(
                f"Models were trained with {shares} of the training cases.",
                *([f"Shares were taken in {count(len(orders), 'order')}."] if len(orders) > 1 else []),
                *told,
                "Validation and test cases were never reduced.",
            )
        ),
    )


def _whole_patients(reading: StudyReading) -> str:
    kinds = {task.kind for task in reading.tasks.values()}
    order = (
        "The order begins with one patient per class and then mixes the classes in proportion. "
        if kinds != {TaskKind.SEGMENTATION}
        else ""
    )
    return (
        "A smaller share is contained in every larger one: all training patients of a task stand in one random "
        f"order per repetition, a share takes its first whole patients. {order}The order depends on the task and "
        "the repetition only, so all source models learn from the same cases."
    )


def _one_list(reading: StudyReading, order: str) -> str:
    """Return how the order of published studies cuts a list of cases, and through how many patients."""
    divided = divided_patients(reading.records)
    most = max(divided, default=0)
    found = ""
    if divided:
        whom = f"Up to {count(most, 'patient')} of a task" if most else "No patient"
        found = f" {whom} had images both inside and outside of a share."
    return (
        f"In the order {order} a smaller share is contained in every larger one: the list of training cases of a "
        "task is shuffled once, with the seed 99 of Python's random numbers, and a share takes the first cases. "
        f"Classes are not balanced and patients are not kept whole.{found} All repetitions and all source models "
        "learn from the same cases."
    )


def repetitions_passage(reading: StudyReading) -> Passage:
    """Return how often each cell was run and what differed between its runs."""
    found: dict[tuple[str, ...], set[int]] = {}
    for _, _, cell in reading.cells():
        found.setdefault(cell.varied, set()).add(len(cell.records))
    text = []
    for varied, numbers in found.items():
        runs = _range(numbers)
        if varied:
            text.append(f"Cells whose runs differ in {listed(list(varied))} have {runs} each.")
        else:
            text.append(f"Cells that no seed can change have {runs} each.")
    repetitions = [record.description.repetition for record in reading.records]
    last = max(repetitions, default=0)
    text.append(
        "The seed of a run is a digest of the names of task, source model and protocol, of the label "
        f"fraction and of the number of the repetition, here {'0' if not last else f'0 to {last}'}."
    )
    return Passage("Repetitions and seeds", tuple(sentences(*text)))


def selection_passage(reading: StudyReading) -> Passage:
    """Return what validation chose, and what was scored on test."""
    chosen = {str(value) for record in reading.records if record.outcome
              for name, value in record.outcome.choices.items() if name == "selected_on"}  # fmt: skip
    both = any(record.outcome and "test/last" in record.outcome.metrics for record in reading.records)
    names = {"loss": "loss", "metric": "primary metric"}
    epochs = (
        f"The weights of the epoch with the best validation {listed(sorted(names.get(n, n) for n in chosen))} "
        "were scored."
        if chosen
        else ""
    )
    return Passage(
        "Selection",
        tuple(
            sentences(
                "Checkpoints and parameters of heads were chosen on validation cases alone; test cases chose "
                "nothing.",
                epochs,
                "The weights of the last epoch were scored as well and are reported apart." if both else "",
            )
        ),
    )


def _by_settings(block: Block) -> dict[tuple[str, ...], str]:
    """Return the text of all settings by the kinds of tasks that have them."""
    kinds: dict[str, list[str]] = {}
    for kind, values in block.settings.items():
        kinds.setdefault(settings(values), []).append(kind)
    return {tuple(found): text for text, found in kinds.items()}


def _described(protocol: str, kind: TaskKind, values: Mapping[str, Any]) -> Iterator[Piece]:
    if protocol == "finetune":
        yield trained_part(kind, values)
        yield from training(kind, values)
        yield _normalised(values)
    elif protocol == "linear" and not kind.is_classification:
        yield "a decoder was trained on the feature maps of the frozen network"
        yield from training(kind, values)
        yield _normalised(values)
    elif protocol == "linear":
        yield "a logistic regression was fitted to the standardised embeddings of the frozen network"
        yield from cite("kornblith2019transfer", "pedregosa2011sklearn")
        if "strengths" in values:
            yield f", its strength chosen on validation from C = {setting(values['strengths'])}"
        yield f"{image_size(values)}."
        if values.get("class_weights") == "balanced":
            yield " Every class was weighted by the inverse of its share of the training cases."
        yield _normalised(values)
    elif protocol == "knn":
        yield "cases got the labels of the nearest training cases by the cosine of the frozen network's embeddings"
        yield from cite("wu2018instance")
        if "ks" in values:
            yield f", their number chosen on validation from k = {setting(values['ks'])}"
        yield f"{image_size(values)}."
        yield _normalised(values)
    else:
        yield f"models were transferred as the protocol {protocol} does."


def _normalised(values: Mapping[str, Any]) -> str:
    """Return what inputs were normalised by, where it is not what the source model was trained with."""
    rule = _NORMALISED.get(str(values.get("normalization")))
    return f" Inputs were normalised by {rule}." if rule else ""


def _range(numbers: set[int]) -> str:
    if len(numbers) == 1:
        return count(next(iter(numbers)), "run")
    return f"{min(numbers)} to {max(numbers)} runs"
