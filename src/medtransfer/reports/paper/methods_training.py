"""Methods in words: how weights were trained, from the resolved settings of a protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.paper.prose import Piece, cite
from medtransfer.reports.phrases import count, listed, setting

_OPTIMISERS = {
    "adamw": ("AdamW", "loshchilov2019adamw"),
    "adam": ("Adam", "kingma2015adam"),
    "sgd": ("SGD", None),
    "lars": ("LARS", "you2017lars"),
}
_SCHEDULES = {
    "cosine": ("a cosine schedule", "loshchilov2017sgdr"),
    "plateau": ("a rate that is lowered when the validation loss stalls", None),
    "exponential": ("a rate that falls by a factor every epoch", None),
    "constant": ("a constant rate", None),
}
_DECODERS = {"unet": ("U-Net", "ronneberger2015unet"), "upernet": ("UPerNet", "xiao2018upernet")}
_LOSSES = {"bce": "cross entropy", "dice": "soft Dice", "bce+dice": "the sum of cross entropy and soft Dice"}


def trained_part(kind: TaskKind, values: Mapping[str, Any]) -> str:
    """Return which weights were trained, as the start of a sentence."""
    last, head = values.get("train_last"), "head" if kind.is_classification else "decoder"
    if last is None:
        return "all weights of the network were trained"
    trained = f"the {head} and the last {count(last, 'layer group')} of the network were trained"
    if last == 0:
        trained = f"only the {head} was trained, on the frozen network"
    if values.get("batch_normalization") == "adapt":
        trained += ", the statistics of frozen batch normalisation adapting to the training images,"
    return trained


def training(kind: TaskKind, values: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield how weights were trained, as what follows :func:`trained_part`; absent settings say nothing."""
    if "epochs" in values:
        yield f" for at most {count(int(values['epochs']), 'epoch')}"
    name, work = _OPTIMISERS.get(str(values.get("optimiser")), (str(values.get("optimiser", "")), None))
    yield f" with {name}" if name else ""
    yield from cite(work)
    yield f" at a learning rate of {setting(values['learning_rate'])}" if "learning_rate" in values else ""
    schedule, work = _SCHEDULES.get(str(values.get("schedule")), ("", None))
    yield f" and {schedule}" if schedule else ""
    yield f" down to {setting(values['least_rate'])}" if values.get("least_rate") else ""
    yield from cite(work)
    yield (
        f", in batches of at most {count(int(values['batch_size']), 'case')}"
        if "batch_size" in values
        else ""
    )
    yield image_size(values)
    if not kind.is_classification:
        yield from _decoding(values)
    yield "."
    if "patience" in values:
        yield f" Training ended early after more than {count(int(values['patience']), 'epoch')} without gain."
    yield from _refinements(values)


def _refinements(values: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield a sentence for each setting that few trainings have."""
    rates = values.get("learning_rates")
    if rates:
        yield (
            f" The learning rate was chosen on validation among {listed([setting(rate) for rate in rates], most=9)}, "
            "for every source model alike."
        )
    decay = values.get("layer_decay", 1)
    if decay != 1:
        yield f" From each layer group to the one before it the learning rate fell by the factor {setting(decay)}."
        yield from cite("bao2022beit")
    if values.get("average_decay") is not None:
        decay = setting(values["average_decay"])
        yield f" An exponential moving average of the weights, of decay {decay}, was scored."
    if values.get("precision") == "bf16-mixed":
        yield " Training steps ran in mixed precision with bfloat16, validation and test in single precision."
        yield from cite("micikevicius2018mixed")
    if values.get("ten_crops"):
        yield " Ten crops of each image were scored as well, their probabilities averaged."


def _decoding(values: Mapping[str, Any]) -> Iterator[Piece]:
    decoder, work = _DECODERS.get(str(values.get("decoder", "unet")), (str(values.get("decoder")), None))
    yield f", with a {decoder} decoder"
    yield from cite(work)
    loss = _LOSSES.get(str(values.get("mask_loss")))
    if loss:
        yield f" and {loss} as loss"
        yield from cite("milletari2016vnet" if "dice" in str(values["mask_loss"]) else None)


def image_size(values: Mapping[str, Any]) -> str:
    """Return the size of the images, as the end of a sentence; empty where the settings name none."""
    if "image_size" not in values:
        return ""
    size = values["image_size"]
    return (
        ", on images of the size of the source model"
        if size is None
        else f", on images of {size} × {size} pixels"
    )
