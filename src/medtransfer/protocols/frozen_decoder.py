"""Segmentation with a frozen encoder: only a narrow decoder is trained, on features computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from medtransfer.core.errors import UsageError
from medtransfer.core.seeds import seed_from
from medtransfer.data.decoded_cache import DecodedCache, cache_side
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.doubled_convolution import FROM_POSITIONS_FROZEN
from medtransfer.models.heads import UNet, decoded
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.upernet import UPerNet
from medtransfer.protocols.feature_maps import FeatureMaps, FloatArray, extract_feature_maps
from medtransfer.protocols.frozen_decoder_settings import FrozenDecoderSettings
from medtransfer.protocols.scored_checkpoints import score_checkpoints
from medtransfer.protocols.training_facts import require_training_cases, training_facts
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.fit_network import fit_network
from medtransfer.training.losses import output_count
from medtransfer.training.suited_layers import suit_layers
from medtransfer.training.validation_metrics import build_goal


class MapDecoder(nn.Module):
    """The decoder and head of a segmentation network, from feature maps to logits.

    Args:
        network: Whose decoder and head are taken; its encoder is left behind.
        image_size: Side of the images the maps come from, which is that of the logits.
    """

    def __init__(self, network: UNet | UPerNet, image_size: int) -> None:
        super().__init__()
        self.decoder = network.decoder
        self.head = network.head
        self.image_size = image_size

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return logits (N, outputs, S, S) of maps (N, C, h, w), finest first."""
        image = maps[0].new_empty((1, 1, self.image_size, self.image_size))
        return decoded(self.decoder, self.head, [image, *maps])


def fit_frozen_decoder(
    settings: FrozenDecoderSettings, bench: Bench, requests: Sequence[TransferRequest]
) -> Iterator[Transfer]:
    """Yield the transfer of each request, in order.

    The encoder stays in evaluation mode: neither its parameters nor its batch normalisation statistics
    change. A random encoder is the same for every request, so repetitions differ in the decoder only.

    Raises:
        TrialError: If a loss, gradient or prediction is not finite, or there are too few cases.
        UsageError: If the source model has no feature maps, or cannot take images of that size.
    """
    size = settings.image_size or contract_of(bench.model).size
    side = cache_side(bench.cases.kind, size)
    cache = bench.open_decoded_cache(side)
    encoder = frozen_encoder(bench, size)
    maps = extract_feature_maps(
        encoder,
        cache,
        device=bench.device,
        scratch_folder=bench.cache_folder / "scratch",
        progress=bench.progress,
    )
    for request in requests:
        data = _training_data(settings, bench, request, maps, cache)
        decoder = _build_decoder(settings, bench, encoder, request, size, maps)
        yield _fit_trial(settings, bench, request, decoder, data)


def frozen_encoder(bench: Bench, image_size: int) -> Encoder:
    """Return the bench's encoder without gradients; random weights depend on the model's name only."""
    encoder = build_encoder(
        bench.model,
        weights_folder=bench.weights_folder,
        seed=seed_from("frozen encoder", bench.model.name),
        image_size=image_size,
    )
    return encoder.requires_grad_(requires_grad=False).eval()


def _build_decoder(
    settings: FrozenDecoderSettings,
    bench: Bench,
    encoder: Encoder,
    request: TransferRequest,
    size: int,
    maps: tuple[FloatArray, ...],
) -> MapDecoder:
    outputs = output_count(bench.cases.kind, len(bench.cases.classes))
    network = build_segmenter(
        settings.decoder,
        encoder,
        outputs,
        image_size=size,
        decoder_channels=settings.channels_for(len(encoder.levels)),
        seed=seed_from("decoder", request.seed),
    )
    layout = torch.channels_last
    decoder = MapDecoder(network, size).to(memory_format=layout)
    first = [torch.from_numpy(level[:1]).permute(0, 3, 1, 2) for level in maps]
    suit_layers(
        decoder,
        lambda: decoder(first),
        layout,
        torch.device(bench.device),
        precision=settings.recipe().precision,
        doubled_from=FROM_POSITIONS_FROZEN,
    )
    return decoder


def _training_data(
    settings: FrozenDecoderSettings,
    bench: Bench,
    request: TransferRequest,
    maps: tuple[FloatArray, ...],
    cache: DecodedCache,
) -> FeatureMaps:
    if cache.masks is None:
        raise UsageError(f"task {bench.task!r}: expected a segmentation task, got {bench.cases.kind.value}.")
    require_training_cases(bench, request)
    return FeatureMaps(
        maps=maps,
        masks=cache.masks,
        train=request.train,
        validate=bench.cases.indices("val"),
        batch_size=settings.recipe().batch_size_for(len(request.train)),
        seed=seed_from("order", request.seed),
    )


def _fit_trial(
    settings: FrozenDecoderSettings,
    bench: Bench,
    request: TransferRequest,
    decoder: MapDecoder,
    data: FeatureMaps,
) -> Transfer:
    recipe = settings.recipe()
    goal = build_goal(bench.cases, bench.selection_metric, recipe, masks=data.masks, validate=data.validate)
    fitted = fit_network(
        decoder, data, recipe, goal, seed=request.seed, device=bench.device, progress=bench.progress
    )
    return Transfer(
        predictions=score_checkpoints(decoder, fitted, data, bench),
        train_cases=data.train_cases,
        choices={"best_epoch": fitted.best_epoch, "selected_on": recipe.select_on},
        curve=fitted.curve,
        details=training_facts(decoder, fitted, data, recipe) | {"image_size": decoder.image_size},
    )
