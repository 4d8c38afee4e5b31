"""What a protocol costs with one source model: tried on a few drawn cases in a worker, for a plan."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import psutil

from medtransfer.core.kept_memory import kept_memory
from medtransfer.data.case_table import CaseTable
from medtransfer.execution.memory import forget_peak, give_memory_back, peak_bytes
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.transfer_protocol import Bench, TransferProtocol, TransferRequest
from medtransfer.study.drawn_cases import CaseShape, draw_cases
from medtransfer.study.stopwatch import STEP, Mark, Stopwatch, per_unit, step_seconds
from medtransfer.study.trial import compute_outcome_metrics, predictions_frame

if TYPE_CHECKING:
    from medtransfer.models.network import Encoder

BUDGET_S: Final = 0.8
"""About how many seconds a probe may take once all is warm; it tries as many cases as fit."""
SMALL_BATCH: Final = 4
"""Cases per step of the smaller run of a protocol that trains; the larger one has the recipe's, if it fits."""
STEPS: Final = 4
"""Steps of a run; with fewer training cases per step than that, recipes cut batches."""
MOST_TRAIN: Final = 512
"""Most training cases of a run of a protocol that reads embeddings; its heads cost little beside them."""
MEMORY_SHARE: Final = 0.25
"""Share of the memory that is free which the larger run may take."""

EMBEDDING_BATCH: Final = 64
"""Cases that an encoder embeds at once; see :mod:`medtransfer.features.embedding`."""

_PASSES: Final = ("embedding", "feature maps")
_EPOCH: Final = "training epochs"
_RESULT: Final = "result"
_FORWARD_IMAGES, _FORWARD_PASSES = 8, 3


@dataclass(frozen=True)
class EncoderTimes:
    """What a frozen encoder takes by itself, in a process in which all libraries are loaded."""

    build_s: float = 0.0
    """Seconds for building it; part of the time before its pass over the cases."""
    image_s: float = 0.0
    """Seconds for an image; its pass takes this at least."""


@dataclass(frozen=True)
class ProbeRequest:
    """What to try; picklable."""

    shape: CaseShape
    """What the cases are like."""
    metrics: tuple[str, ...]
    """Metrics of the task."""
    selection_metric: str
    """The one that selects on validation."""
    model: SourceModel
    """Source model."""
    protocol: TransferProtocol
    """Protocol with its settings."""
    weights_folder: Path | None
    """Where weights files lie."""
    side: int
    """Side at which decoded images are kept."""
    train_cases: int
    """Most training cases of a trial to come."""
    batch_size: int | None
    """Largest number of cases per step; None for a protocol that takes no steps."""
    device: str = "cpu"
    """Device of the network."""


@dataclass(frozen=True)
class ProbeRun:
    """What one run on drawn cases took."""

    batch_size: int | None
    """Cases per step; None without steps."""
    train_cases: int
    """Training cases."""
    cases: int
    """All cases."""
    pass_s: float
    """Seconds per case of the frozen encoder's pass over all cases; 0 without one."""
    pass_bytes: float
    """Memory that each case of that pass leaves taken."""
    setup_s: float
    """Seconds before the first step of a trial, once the encoder's pass is over."""
    step_s: float
    """Seconds per step; 0 without steps."""
    validation_s: float
    """Seconds per validation case and epoch; 0 without epochs."""
    results_s: tuple[tuple[int, float], ...]
    """Training cases, and seconds from the end of training, or of the encoder's pass, to the metrics."""
    embedding_size: int
    """Features of an embedding; 0 where none is read."""
    before_bytes: int
    """Memory held before the first step, or before the encoder's pass."""
    peak_bytes: int
    """Most memory held."""


@dataclass(frozen=True)
class Probe:
    """Two runs of different size; the same one twice where one is all there is to learn from."""

    small: ProbeRun
    """A few cases per step."""
    large: ProbeRun
    """As many as the trials to come have, or as time and memory allow."""


def run_probe(request: ProbeRequest) -> Probe:
    """Return what the protocol took on drawn cases; to be called in a process like a worker's.

    Raises:
        MedtransferError: What a trial would raise as well, such as for images of a size the model refuses.
    """
    _build(request)  # loads the libraries, which is no trial's time
    give_memory_back()
    with tempfile.TemporaryDirectory(prefix="medtransfer-probe-") as folder:
        if request.batch_size is None:
            return _try_heads(request, Path(folder))
        return _try_training(request, Path(folder))


def _try_heads(request: ProbeRequest, folder: Path) -> Probe:
    """Try a protocol that reads embeddings, on whole batches of cases."""
    encoder = _encoder_times(request)
    wanted = min(request.train_cases, MOST_TRAIN) + 2 * _held(request)
    batches = max(int(BUDGET_S / encoder.image_s) // EMBEDDING_BATCH, 1)
    cases = min(wanted, batches * EMBEDDING_BATCH)
    run = _try_out(request, folder, train=cases - 2 * _held(request), batch=None, encoder=encoder)
    return Probe(run, run)


def _try_training(request: ProbeRequest, folder: Path) -> Probe:
    """Try a protocol that trains by steps, with few cases per step and then with as many as are affordable."""
    assert request.batch_size is not None
    few = min(SMALL_BATCH, request.batch_size)
    small = _try_out(request, folder, train=STEPS * few, batch=few)
    more = _affordable_batch(request.batch_size, small)
    if more <= few:
        return Probe(small, small)
    return Probe(small, _try_out(request, folder, train=STEPS * more, batch=more))


def _build(request: ProbeRequest) -> Encoder:
    """Return the encoder with weights, at the protocol's image size, on the device."""
    from medtransfer.models.network import build_encoder

    size = request.protocol.settings(request.shape.kind).get("image_size")
    encoder = build_encoder(request.model, weights_folder=request.weights_folder, seed=0, image_size=size)
    return encoder.to(request.device)


def _encoder_times(request: ProbeRequest) -> EncoderTimes:
    """Return the seconds for building the encoder, and for an image in it once it has seen some."""
    import torch

    from medtransfer.training.memory_layout import lay_out

    watch = Stopwatch(request.device)
    watch("start", 0, 0)
    encoder = _build(request)
    watch("built", 0, 0)
    side = encoder.image_size
    layout = lay_out(encoder, side, torch.device(request.device))
    images = torch.zeros((_FORWARD_IMAGES, 3, side, side), dtype=torch.uint8, device=request.device)
    images = images.contiguous(memory_format=layout)
    kept = kept_memory() if request.device == "cpu" else nullcontext()  # as where embeddings are computed
    with kept, torch.inference_mode():
        for _ in range(_FORWARD_PASSES):
            watch("before", 0, 0)
            encoder(images)
            watch("pass", 0, 0)
    start, built, *passes = [mark.at_s for mark in watch.marks]
    fastest = min(after - before for before, after in zip(passes[::2], passes[1::2], strict=True))
    return EncoderTimes(built - start, max(fastest / _FORWARD_IMAGES, 1e-6))


def _affordable_batch(wanted: int, small: ProbeRun) -> int:
    assert small.batch_size is not None
    seconds = max(small.step_s / small.batch_size, 1e-6) * STEPS
    taken = max(small.peak_bytes - small.before_bytes, 1) / small.batch_size
    room = MEMORY_SHARE * psutil.virtual_memory().available
    return min(wanted, int(BUDGET_S / seconds), int(room / taken))


def _held(request: ProbeRequest) -> int:
    """Return the number of validation and of test cases to draw: every class twice, if there are not too many."""
    return min(max(8, 2 * len(request.shape.classes)), 32)


def _try_out(
    request: ProbeRequest,
    folder: Path,
    *,
    train: int,
    batch: int | None,
    encoder: EncoderTimes = EncoderTimes(),
) -> ProbeRun:
    held = _held(request)
    cases = draw_cases(request.shape, request.side, train=max(train, 2), val=held, test=held)
    watch = Stopwatch(request.device)
    bench = Bench(
        task="probe",
        cases=cases,
        model=request.model,
        weights_folder=request.weights_folder,
        cache_folder=folder,
        selection_metric=request.selection_metric,
        device=request.device,
        progress=watch,
    )
    protocol = request.protocol if batch is None else _short(request.protocol, batch)
    subsets = _subsets(cases, halved=batch is None)
    forget_peak()
    with watch.noting_optimiser_steps():  # no block of kept memory but those of the protocol, as in a trial
        watch("start", 0, 0)
        for transfer in protocol.fit(bench, subsets):
            compute_outcome_metrics(request.metrics, transfer)
            predictions_frame(transfer.predictions)
            watch(_RESULT, transfer.train_cases, 0)
    return _read(watch, cases, batch, int(transfer.details.get("embedding_size", 0)), encoder)


def _short(protocol: TransferProtocol, batch: int) -> TransferProtocol:
    """Return a protocol that trains for one epoch, by steps of so many cases, at one rate."""
    fields = type(cast(Any, protocol)).model_fields
    wanted = {"epochs": 1, "warmup_epochs": 0, "batch_size": batch, "learning_rates": None}
    changed = {name: value for name, value in wanted.items() if name in fields}
    return cast(TransferProtocol, cast(Any, protocol).model_copy(update=changed))


def _subsets(cases: CaseTable, *, halved: bool) -> Sequence[TransferRequest]:
    """Return requests with all training cases, before it with every other one if wanted."""
    train = cases.indices("train")
    whole = TransferRequest(label_fraction=1.0, repetition=0, train=train, seed=0)
    few = cases.frame["label"].to_numpy()[train] if halved and "label" in cases.frame else np.empty(0)
    kept = train[: len(train) // 2]
    enough = halved and len(kept) >= 2 and len(set(few[: len(kept)])) == len(set(few))
    return [replace(whole, label_fraction=0.5, train=kept), whole] if enough else [whole]


def _read(
    watch: Stopwatch, cases: CaseTable, batch: int | None, embedding_size: int, encoder: EncoderTimes
) -> ProbeRun:
    steps, epochs, results = watch.of(STEP), watch.of(_EPOCH), watch.of(_RESULT)
    passes = [mark for name in _PASSES for mark in watch.of(name)]
    first = (passes or steps or results)[0]
    pass_s, pass_bytes = 0.0, 0.0
    if passes:
        known = {"once_s": encoder.build_s, "least_s": encoder.image_s}
        pass_s, pass_bytes = per_unit(watch.before(first), passes, **known)
    step_s = step_seconds(steps)
    setup_s = max(steps[0].at_s - watch.before(steps[0]).at_s - step_s, 0.0) if steps else 0.0
    held = len(cases.indices("val"))
    validation_s = (epochs[-1].at_s - steps[-1].at_s) / held if epochs and steps else 0.0
    return ProbeRun(
        batch_size=batch,
        train_cases=len(cases.indices("train")),
        cases=len(cases),
        pass_s=pass_s,
        pass_bytes=pass_bytes,
        setup_s=setup_s,
        step_s=step_s,
        validation_s=validation_s,
        results_s=tuple(_result(watch, mark) for mark in results),
        embedding_size=embedding_size,
        before_bytes=watch.before(steps[0] if steps else first).resident,
        peak_bytes=peak_bytes(),
    )


def _result(watch: Stopwatch, mark: Mark) -> tuple[int, float]:
    """Return the training cases of a result, and the seconds since the work that came before it."""
    earlier = [found for name in (*_PASSES, _EPOCH, _RESULT) for found in watch.of(name)]
    before = max((found.at_s for found in earlier if found.at_s < mark.at_s), default=watch.marks[0].at_s)
    return mark.done, mark.at_s - before
