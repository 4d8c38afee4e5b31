"""An encoder run by OpenVINO on the CPU, admitted only when it agrees with torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.models.network import Encoder

FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

LARGEST_DIFFERENCE = 1e-4
"""Most by which an embedding may differ from torch's, as a share of the largest value of the batch."""


def compile_encoder(encoder: Encoder, images: ImageArray) -> Callable[[ImageArray], FloatArray]:
    """Return a function from uint8 images (B, C, H, W) to embeddings (B, F), checked on some images.

    It runs on one thread in full precision, like everything a worker does.

    Args:
        encoder: In evaluation mode, on the CPU.
        images: uint8 (B, C, H, W) to trace with and to compare on; B at least 1.

    Raises:
        UsageError: If OpenVINO is not installed.
        TrialError: ``engine_cannot_run`` if it cannot take the network, ``engine_disagrees`` if its
            embeddings are not torch's.
    """
    # Its converter reports usage over the network unless this optional package is absent; it has a stub for that.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
        import openvino.frontend
    except ModuleNotFoundError as error:
        raise UsageError(
            "engine 'openvino': expected the package 'openvino', got none. "
            "Install it with: pip install 'medtransfer[openvino]', or leave 'engine' out."
        ) from error
    failures = openvino.frontend
    refusals = (
        *(RuntimeError, TypeError, ValueError, NotImplementedError, LookupError),
        *(failures.OpConversionFailure, failures.OpValidationFailure, failures.GeneralFailure),
    )
    example = torch.from_numpy(images)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # tracing remarks about shapes that are constants here
            graph = openvino.convert_model(encoder, example_input=example)
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        compiled = openvino.Core().compile_model(graph, "CPU", options)
    except refusals as error:
        raise _cannot_run(encoder, error) from error
    run = _runner(compiled)
    _require_agreement(encoder, example, run(images))
    return run


def _runner(compiled: Any) -> Callable[[ImageArray], FloatArray]:
    def run(images: ImageArray) -> FloatArray:
        return np.array(compiled(np.ascontiguousarray(images))[0], dtype=np.float32)

    return run


def _require_agreement(encoder: Encoder, example: torch.Tensor, found: FloatArray) -> None:
    with torch.inference_mode():
        expected = encoder(example).float().numpy()
    scale = float(np.abs(expected).max()) or 1.0
    difference = float(np.abs(expected - found).max()) / scale
    if not difference <= LARGEST_DIFFERENCE:
        raise TrialError(
            "engine_disagrees",
            f"model {encoder.name!r}: expected OpenVINO's embeddings within {LARGEST_DIFFERENCE:g} of torch's, "
            f"got a difference of {difference:.2g} of the largest value. Leave 'engine' out for this model.",
        )


def _cannot_run(encoder: Encoder, error: Exception) -> TrialError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrialError(
        "engine_cannot_run",
        f"model {encoder.name!r}: expected a network that OpenVINO can run, got {said!r}. "
        "Leave 'engine' out for this model.",
    )
