"""One fine-tuning trial: build the network, train it, score its best and its last weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from medtransfer.core.seeds import seed_from
from medtransfer.data.decoded_cache import DecodedCache, cache_side, open_decoded_cache
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.heads import Classifier
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.network import build_encoder
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.scored_checkpoints import score_checkpoints
from medtransfer.protocols.training_facts import require_training_cases, training_facts
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.fit_network import fit_network
from medtransfer.training.losses import output_count
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal


def fit_finetune(settings: Finetune, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
    """Yield the transfer of each request, in order; see :meth:`Finetune.fit`."""
    size = settings.size() or contract_of(bench.model).size
    side = cache_side(bench.cases.kind, size)
    cache = open_decoded_cache(bench.cases, side, bench.cache_folder, progress=bench.progress)
    for request in requests:
        yield _fit_trial(settings, bench, request, cache, size)


def _fit_trial(
    settings: Finetune, bench: Bench, request: TransferRequest, cache: DecodedCache, size: int
) -> Transfer:
    recipe = settings.recipe()
    network = _build_network(settings, bench, request.seed, size)
    layout = memory_format_for(network, size, torch.device(bench.device))
    network.to(memory_format=layout)
    data = _training_data(settings, bench, request, cache, size, layout)
    goal = build_goal(bench.cases, bench.selection_metric, recipe, masks=cache.masks, validate=data.validate)
    fitted = fit_network(
        network, data, recipe, goal, seed=request.seed, device=bench.device, progress=bench.progress
    )
    return Transfer(
        predictions=score_checkpoints(network, fitted, data, bench),
        train_cases=data.train_cases,
        choices={"best_epoch": fitted.best_epoch, "selected_on": recipe.select_on},
        curve=fitted.curve,
        details=training_facts(network, fitted, data, recipe)
        | {"image_size": size, "memory_format": str(layout).removeprefix("torch.")},
    )


def _build_network(settings: Finetune, bench: Bench, seed: int, size: int) -> nn.Module:
    """Return encoder and head; a random encoder differs between seeds, a pretrained one never."""
    encoder = build_encoder(
        bench.model,
        weights_folder=bench.weights_folder,
        seed=seed_from("encoder", seed),
        image_size=size,
    )
    outputs = output_count(bench.cases.kind, len(bench.cases.classes))
    head_seed = seed_from("head", seed)
    if bench.cases.kind.is_classification:
        return Classifier(encoder, outputs, seed=head_seed)
    return build_segmenter(
        settings.decoder,
        encoder,
        outputs,
        image_size=size,
        decoder_channels=settings.decoder_channels,
        seed=head_seed,
    )


def _training_data(
    settings: Finetune,
    bench: Bench,
    request: TransferRequest,
    cache: DecodedCache,
    size: int,
    layout: torch.memory_format,
) -> CachedImages:
    kind = bench.cases.kind
    require_training_cases(bench, request)
    return CachedImages(
        cache=cache,
        labels=bench.cases.labels() if kind.is_classification else None,
        train=request.train,
        validate=bench.cases.indices("val"),
        size=size,
        augmentation=settings.views(kind),
        batch_size=settings.recipe().batch_size_for(len(request.train)),
        seed=seed_from("views", request.seed),
        memory_format=layout,
    )
