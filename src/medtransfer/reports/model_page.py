"""The table of source models in the documentation, written from their records."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.models.acquisition import is_tried
from medtransfer.models.catalogue import catalogue
from medtransfer.models.source_model import HALF, IMAGENET_MEAN, InputContract, SourceModel
from medtransfer.reports.phrases import NONE
from medtransfer.reports.renderers.markdown import plain

START: Final = (
    "<!-- The table is written by `make model-page` from the records of the models. Change those. -->"
)
END: Final = "<!-- End of the table. -->"

_CLIP_MEAN: Final = (0.481, 0.458, 0.408)
_HEADS: Final = ("name", "pretraining", "trained on", "year", "input", "weights", "licence", "studies")


def with_table(text: str) -> str:
    """Return the page with its table replaced by the one of the catalogue.

    Args:
        text: Markdown that holds the two marks between which the table stands.

    Raises:
        UsageError: If a mark is missing.
    """
    before, found, rest = text.partition(START)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise UsageError(
            f"page of source models: expected the marks {START!r} and {END!r}, got a page without."
        )
    return "\n".join([before + START, "", *table_lines(), "", END + after])


def table_lines() -> list[str]:
    """Return the table with one line of Markdown per pretrained source model, and the notes under it."""
    models = [model for model in catalogue if not model.is_random]
    notes = list(dict.fromkeys(model.note for model in models if model.note))
    rule = ["---"] * len(_HEADS)
    rows = [_row(model, notes) for model in models]
    return [
        *(f"| {' | '.join(cells)} |" for cells in (_HEADS, rule, *rows)),
        "",
        *(f"{number}. {plain(note)}" for number, note in enumerate(notes, 1)),
    ]


def _row(model: SourceModel, notes: Sequence[str]) -> tuple[str, ...]:
    weights = ", ".join(_ways(model))
    return (
        f"`{model.name}`",
        plain(model.pretraining.objective),
        plain(", ".join(model.pretraining.data) or "not declared"),
        NONE if model.pretraining.year is None else str(model.pretraining.year),
        "as its library says" if model.input_from_library else _input(model.input),
        f"{weights}; note {notes.index(model.note) + 1}" if model.note else weights,
        plain(model.licence),
        ", ".join(model.studies) or NONE,
    )


def _ways(model: SourceModel) -> Iterator[str]:
    """Yield how the weights are got: by whom, whether they are converted, and whether that was tried."""
    weights = model.weights
    assert weights is not None
    if weights.hub is not None:
        yield f"`{model.architecture.library}`"
    elif weights.url is not None:
        yield "`fetch`"
    else:
        yield "by hand"
    if weights.converter is not None:
        yield "`convert`"
    if not is_tried(weights):
        yield "untried"


def _input(contract: InputContract) -> str:
    grey = " grey" if contract.channels == 1 else ""
    return f"{contract.size}{grey}, {_normalisation(contract)}"


def _normalisation(contract: InputContract) -> str:
    named: dict[tuple[float, ...], str] = {IMAGENET_MEAN: "ImageNet", HALF: "−1–1", _CLIP_MEAN: "CLIP"}
    if contract.value_range == "hounsfield-like":
        return "−1024–1024"
    start = "min–max" if contract.value_range == "minmax" else ""
    if set(contract.mean) == {0.0} and set(contract.std) == {1.0}:
        return start or "0–1"
    values = list(dict.fromkeys(f"{value:.4g}" for value in contract.mean))
    means = named.get(tuple(round(value, 3) for value in contract.mean)) or f"mean {'/'.join(values)}"
    return f"{start}, {means}" if start else means


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise UsageError(f"page of source models: expected one file to renew, got {sys.argv[1:]!r}.")
    page = Path(sys.argv[1])
    write_atomically(page, with_table(page.read_text(encoding="utf-8")))
