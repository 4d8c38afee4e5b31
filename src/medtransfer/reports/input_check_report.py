"""What a network will see of a folder of images, as a document: numbers beside the contract, and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.problems import Problem
from medtransfer.models.input_check import InputCheck, SeenImage
from medtransfer.models.source_model import InputContract
from medtransfer.reports.document import Document, Facts, Gallery, Notice, Paragraph, Part, Picture, Section
from medtransfer.reports.phrases import count, listed, number
from medtransfer.reports.tables.table import Column, Table, TableCell, plain_row

_SIDE = 128
_RANGES = {
    "unit": "bytes scaled to 0–1",
    "minmax": "each image stretched to 0–1",
    "hounsfield-like": "bytes scaled to −1024–1024",
}


def input_check_document(check: InputCheck) -> Document:
    """Return the page of an input check.

    Args:
        check: The findings.
    """
    found = len(check.problems)
    verdict = "nothing is wrong as far as can be told" if not found else count(found, "problem")
    return Document(
        title=check.model,
        subtitle=f"What the network sees of {count(check.images, 'image')}: {verdict}",
        sections=(
            Section("overview", "Overview", tuple(_overview(check))),
            Section("seen", "What the network sees", tuple(_seen(check))),
            Section("problems", "Problems", tuple(_listed("problem-list", check.problems))),
            Section("remarks", "To look at", tuple(_listed("remark-list", check.remarks))),
            Section("pictures", "Pictures", tuple(_pictures(check))),
        ),
        product="medtransfer input check",
    )


def contract_facts(contract: InputContract) -> tuple[tuple[str, str], ...]:
    """Return an input contract as names and values."""
    channels = "red, green, blue" if contract.channels == 3 else "grey"
    return (
        ("Size", f"{contract.size} × {contract.size} pixels"),
        ("Channels", channels),
        ("Range", _RANGES[contract.value_range]),
        ("Mean taken off", ", ".join(f"{value:g}" for value in contract.mean)),
        ("Divided by", ", ".join(f"{value:g}" for value in contract.std)),
    )


def channel_table(check: InputCheck) -> Table:
    """Return what the network sees, channel by channel."""
    heads = ("Channel", "Mean", "Standard deviation", "Smallest", "Largest")
    rows = tuple(
        plain_row(
            channel.name, *(number(value) for value in (channel.mean, channel.std, channel.low, channel.high))
        )
        for channel in check.channels
    )
    columns = tuple(Column(head, numeric=place > 0) for place, head in enumerate(heads))
    notes: tuple[str, ...] = ()
    if check.contract.value_range != "hounsfield-like":
        notes = ("Of images like those of the training, mean is near 0 and standard deviation near 1.",)
    return Table("channels", "After the contract was applied", columns, rows, notes=notes)


def _overview(check: InputCheck) -> Iterator[Part]:
    if check.problems:
        codes = sorted({problem.what for problem in check.problems})
        yield Notice("warning", f"The input is not what the model expects: {listed(codes)}.")
    elif check.remarks:
        yield Notice("caution", "Nothing is proven wrong, but some things are worth a look.")
    else:
        yield Notice("note", "Nothing is wrong as far as can be told from values. Look at the pictures too.")
    yield Facts((("Images", f"{check.images:,}"), *contract_facts(check.contract)))


def _seen(check: InputCheck) -> Iterator[Part]:
    yield channel_table(check)
    if check.fit is None:
        yield Paragraph(
            "The network remembers no statistics of its training, so nothing tells another range from this one."
        )
        return
    rows = [
        _fit_row("as declared", check.fit.declared, None),
        *(_fit_row(name, value, check.fit.better) for name, value in sorted(check.fit.others.items())),
    ]
    columns = (Column("Input"), Column("Distance", numeric=True))
    note = (
        "Mean absolute logarithm of the ratio between the variances of activations now and in training; 0 is a "
        "perfect fit. Only another input that fits far better is called a problem."
    )
    caption = "How well the images fit the batch statistics of the training"
    yield Table("fit", caption, columns, tuple(rows), notes=(note,))


def _fit_row(name: str, value: float, better: str | None) -> tuple[TableCell, ...]:
    return (TableCell(name), TableCell(number(value, 2), tone="failed" if name == better else "plain"))


def _listed(name: str, problems: tuple[Problem, ...]) -> Iterator[Part]:
    if not problems:
        yield Paragraph("Nothing.")
        return
    heads = ("What", "Where", "Expected", "Found", "Next step")
    rows = tuple(plain_row(p.what, p.where, p.expected, p.found, p.next_step) for p in problems)
    caption = "Not as expected" if name == "problem-list" else "May be as meant"
    yield Table(name, caption, tuple(Column(head) for head in heads), rows)


def _pictures(check: InputCheck) -> Iterator[Part]:
    low = min(channel.low for channel in check.channels)
    high = max(channel.high for channel in check.channels)
    yield Paragraph(
        "Each image twice: at the size of the network as it was decoded, and as the network sees it. Check the "
        "colours, that air is black where it should be, and that no image is flat."
    )
    title = f"Decoded and seen; {number(low, 2)} is drawn black and {number(high, 2)} white"
    yield Gallery(title, tuple(_pair(image, low, high) for image in check.examples))


def _pair(image: SeenImage, low: float, high: float) -> tuple[Picture, Picture]:
    scaled = (image.seen.transpose(1, 2, 0) - low) * (255.0 / max(high - low, 1e-9))
    seen = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    facts = f"{number(float(image.seen.mean()), 2)} ± {number(float(image.seen.std()), 2)}"
    return (
        Picture((image.name, "decoded"), _png(image.pixels)),
        Picture((image.name, "seen", facts), _png(seen)),
    )


def _png(pixels: npt.NDArray[Any]) -> bytes | None:
    colour = pixels if pixels.ndim == 3 else pixels[..., None]
    colour = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
    way = cv2.INTER_AREA if colour.shape[0] > _SIDE else cv2.INTER_NEAREST
    small = np.asarray(cv2.resize(colour, (_SIDE, _SIDE), interpolation=way), dtype=np.uint8)
    done, encoded = cv2.imencode(".png", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return encoded.tobytes() if done else None
