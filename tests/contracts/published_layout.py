"""What a model's published weights file holds, made from its network by the inverse of the loading rules."""

from __future__ import annotations

import math
import re
import zlib
from functools import cache

import torch
from torch import Tensor, nn

from medtransfer.models.backbones import build_backbone
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.key_audit import COUNTER
from medtransfer.models.key_schemes import schemes
from medtransfer.models.source_model import SourceModel, WeightsFile

IGNORED = {
    r"op_threshs": ("op_threshs",),
    r"(encoder_k|decoder|generator|discriminator)\..+": ("encoder_k.conv1.weight", "decoder.up.0.weight"),
    r"queue.*": ("queue", "queue_ptr"),
}
"""Names an ``ignore`` expression is there for; expressions have no inverse."""

BUFFERS = {
    "clip-transformers": ("embeddings.position_ids",),
    "dinov2-transformers": ("embeddings.mask_token",),
    "swin-official": ("layers.0.blocks.1.attn_mask", "layers.0.blocks.0.attn.relative_position_index"),
    "beit": ("rel_pos_bias.relative_position_index",),
}
"""Buffers of published files that are no weights, by scheme."""

HEADS = {"convnext-fb": "head.weight", "swin-official": "head.weight", "clip-visual": "proj"}
"""Name of a task head in files of a scheme; ``fc.weight`` elsewhere."""


MOST_NUMBERS = 2**24
"""Length of the table of random numbers: more than any tensor of the catalogue has."""

LEADING_AXES = ("clip-visual", "clip-transformers")
"""Schemes of files whose class token and positions have no axis for the batch."""

POOLING = {
    f"attn_pool.{part}.{kind}": f"attn_pool.in_proj_{kind}"
    for part in ("q", "kv")
    for kind in ("weight", "bias")
}
"""Tensors of timm's attention pooling to the one of transformers that holds both, the query first."""


@cache
def skeleton(architecture: str, channels: int) -> dict[str, Tensor]:
    """State of an architecture without numbers: any size costs nothing."""
    model = resolve_model(f"{architecture}.random")
    contract = model.input
    if channels != contract.channels:
        contract = type(contract)(channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)
    with torch.device("meta"):
        return dict(build_backbone(model.architecture, contract, 0).state_dict())


def skeleton_of(model: SourceModel) -> dict[str, Tensor]:
    return skeleton(model.architecture.name, model.input.channels)


def name_in_file(name: str, weights: WeightsFile, *, wrapped: bool = True) -> str:
    """Name in the file of a tensor that lies there as in the network; ``wrapped`` with all that ``strip`` removes."""
    for old, new in reversed(weights.rename):
        name = old + name.removeprefix(new) if name.startswith(new) else name
    wrapping = "".join(weights.strip) if wrapped else ""
    return weights.prefix + wrapping + schemes.get(weights.scheme).to_file(name)


def pieces(name: str, weights: WeightsFile) -> tuple[str, ...]:
    """Names, in the network's manner, of what a file holds in place of a tensor."""
    if not weights.scheme.endswith("-transformers"):
        return (name,)
    if ".attn.qkv." in name:
        return tuple(name.replace(".qkv.", f".{part}.") for part in "qkv")
    return (POOLING.get(name, name),)


def names_in_file(name: str, weights: WeightsFile, *, wrapped: bool = True) -> tuple[str, ...]:
    """Names in the file of all that a tensor of the network is made of."""
    return tuple(name_in_file(piece, weights, wrapped=wrapped) for piece in pieces(name, weights))


def as_stored(name: str, tensor: Tensor, weights: WeightsFile) -> Tensor:
    """Tensor in the shape the publisher stores."""
    if weights.scheme in LEADING_AXES and name in {"cls_token", "pos_embed"}:
        return tensor.reshape(tensor.shape[1:] if name == "pos_embed" else tensor.shape[2:])
    return tensor


def published(
    model: SourceModel, state: dict[str, Tensor], *, wrapped: bool = True
) -> tuple[dict[str, Tensor], set[str]]:
    """Tensors as they lie in a published file of a model, and the names of those that are no part of it."""
    weights = model.weights
    assert weights is not None
    gaps = tuple(gap.prefix for gap in weights.gaps)
    rows: dict[str, list[Tensor]] = {}
    for name, tensor in state.items():
        if gaps and name.startswith(gaps):
            continue
        places = names_in_file(name, weights, wrapped=wrapped)
        stored = as_stored(name, tensor, weights)
        parts = stored.chunk(len(places)) if len(places) > 1 else (stored,)
        for place, part in zip(places, parts, strict=True):
            rows.setdefault(place, []).append(part)
    file = {place: found[0] if len(found) == 1 else torch.cat(found) for place, found in rows.items()}
    extras = extra_names(weights, wrapped=wrapped)
    assert not extras & set(file)
    like = next(iter(state.values()))
    return {**file, **{name: torch.ones(3, 3, device=like.device) for name in extras}}, extras


def extra_names(weights: WeightsFile, *, wrapped: bool) -> set[str]:
    """Names of heads, second encoders, decoders and buffers that lie beside the backbone."""
    start = weights.prefix + ("".join(weights.strip) if wrapped else "")
    inside = [HEADS.get(weights.scheme, "fc.weight"), *(f"{part}.0.weight" for part in weights.drop)]
    inside += [name for pattern in weights.ignore for name in IGNORED[pattern]]
    inside += BUFFERS.get(weights.scheme, ())
    outside = ["second_encoder.conv1.weight", "queue"] if weights.prefix else []
    return {*(start + name for name in inside), *outside}


def trained_state(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Numbers for every tensor of a network, no two tensors and no two numbers alike."""
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            state[name] = torch.rand(tensor.shape, generator=draw) + 0.1
        else:
            state[name] = torch.full_like(tensor, seed) if name.endswith(COUNTER) else tensor.clone()
    return state


def patterned_state(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """As :func:`trained_state`, for large networks: windows of one table of random numbers, which cost nothing.

    Where a window begins depends on the seed and the name, so the numbers of two tensors differ.
    """
    table, found = random_table(), {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            found[name] = torch.full(tensor.shape, seed)
            continue
        start = zlib.crc32(f"{seed}/{name}".encode()) % (len(table) - tensor.numel())
        found[name] = table[start : start + tensor.numel()].view(tensor.shape)
    return found


@cache
def random_table() -> Tensor:
    return torch.rand(MOST_NUMBERS, generator=torch.Generator().manual_seed(0)) + 0.1


def last_block(names: list[str]) -> tuple[str, list[str]]:
    """Start of the last numbered block's names, without the number, and all its names."""
    last = [name for name in names if _number_of(name)][-1]
    number = _number_of(last)
    assert number is not None
    return last[: number.start(1)], [name for name in names if name.startswith(last[: number.end()])]


def renumbered(name: str, start: str) -> str:
    """Name of a tensor of a block after all others."""
    return re.sub(rf"^{re.escape(start)}\d+", f"{start}77", name)


def _number_of(name: str) -> re.Match[str] | None:
    return re.match(r".*?(?:blocks\.|denselayer|layer\d\.|features\.)(\d+)\.", name)


def is_kernel(tensor: Tensor) -> bool:
    """Whether transposing the first two axes shows in the shape."""
    return tensor.ndim >= 2 and tensor.shape[0] != tensor.shape[1] and math.prod(tensor.shape) > 1000
