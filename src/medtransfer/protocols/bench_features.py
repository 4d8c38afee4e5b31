"""The embeddings of all cases of a bench, from disk or from the encoder."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError, TrialError
from medtransfer.core.seeds import seed_from
from medtransfer.data.decoded_cache import DecodedCache, cache_side
from medtransfer.features.embedding import extract_embeddings
from medtransfer.features.extraction import PLAIN_EXTRACTION, Extraction
from medtransfer.features.feature_store import FeatureArray, feature_key, open_features
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.network import build_encoder
from medtransfer.models.weights_files import weights_hash
from medtransfer.protocols.transfer_protocol import Bench, TransferRequest
from medtransfer.training.determinism import reproducible
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.product_policy import products_for

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]


def embedding_side(bench: Bench, image_size: int | None) -> int:
    """Return the side of the images the encoder sees: the one set, else the source model's own."""
    return image_size or contract_of(bench.model).size


def bench_features(bench: Bench, size: int, extraction: Extraction = PLAIN_EXTRACTION) -> FloatArray:
    """Return the embeddings of all cases, shape (N, F), in the row order of the case table.

    A random encoder has the same weights in every trial, drawn from the model's name: what a protocol
    computes from its embeddings then depends on nothing but the training subset.

    Args:
        bench: Cases and source model.
        size: Side of the views in pixels.
        extraction: Engine and number format.

    Raises:
        TrialError: If a feature is not finite, or the engine does not agree with torch.
        UsageError: If the source model cannot take images of that size, or the engine is not there.
    """
    side = cache_side(bench.cases.kind, size)
    cache = bench.open_decoded_cache(side)
    weights = weights_hash(bench.model, bench.weights_folder)
    key = feature_key(
        bench.model,
        weights=f"{weights}:{_random_seed(bench)}" if bench.model.is_random else weights,
        contract=contract_of(bench.model),
        decoded_key=cache.key,
        size=size,
        device=bench.device,
        extraction=extraction,
    )
    found = open_features(
        bench.cache_folder / "features",
        key,
        lambda: _kept(_extract(bench, cache, size, extraction), bench, extraction),
    )
    return np.asarray(found, dtype=np.float32)


def _kept(embeddings: FloatArray, bench: Bench, extraction: Extraction) -> FeatureArray:
    """Return embeddings in the format they are kept in, refused where that cannot hold them."""
    if extraction.precision == "fp32":
        return embeddings
    largest = float(np.abs(embeddings).max(initial=0.0))
    if largest > np.finfo(np.float16).max:
        raise TrialError(
            "features_too_large",
            f"model {bench.model.name!r}: expected features of at most {np.finfo(np.float16).max:g} to keep them in "
            f"fp16, got {largest:g}. Leave 'feature_precision' out for this model.",
        )
    return embeddings.astype(np.float16)


def splits_of(bench: Bench) -> tuple[IndexArray, IndexArray]:
    """Return the rows of validation, which must not be empty, and of test.

    Raises:
        TrialError: If there are no validation cases to choose on.
    """
    val, test = bench.cases.indices("val"), bench.cases.indices("test")
    if not len(val):
        raise TrialError(
            "no_validation_cases",
            f"task {bench.task!r}: expected validation cases to choose on, got none. Check its split.",
        )
    return val, test


def require_training_rows(bench: Bench, request: TransferRequest) -> None:
    """Refuse a request whose cases are none, or are not all in the training split.

    Raises:
        ShapeError: If so.
    """
    strange = np.setdiff1d(request.train, bench.cases.indices("train"))
    if len(strange) or not len(request.train):
        raise ShapeError(
            f"training rows: expected rows of the training split, got {len(request.train)} rows, "
            f"{len(strange)} of them elsewhere."
        )


def _extract(bench: Bench, cache: DecodedCache, size: int, extraction: Extraction) -> FloatArray:
    import torch

    encoder = build_encoder(
        bench.model, weights_folder=bench.weights_folder, seed=_random_seed(bench), image_size=size
    ).requires_grad_(requires_grad=False)
    device = torch.device(bench.device)
    with reproducible(0, device):
        return extract_embeddings(
            encoder,
            cache,
            size=size,
            device=bench.device,
            memory_format=memory_format_for(encoder, size, device),
            products=products_for(device),
            engine=extraction.engine,
            progress=bench.progress,
        )


def _random_seed(bench: Bench) -> int:
    return seed_from("frozen encoder", bench.model.name)
