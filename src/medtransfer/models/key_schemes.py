"""How publishers name the tensors of networks we know: a map of names and its inverse, without torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from medtransfer.core.registry import Registry

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


@dataclass(frozen=True)
class KeyScheme:
    """Names in a family of published files and in the network, in both directions.

    For every tensor name ``x`` of a network the scheme is made for, ``to_network(to_file(x)) == x``.
    """

    name: str
    """Registry name."""
    summary: str
    """Whose files are named so, as one clause."""
    to_network: Callable[[str], str | None]
    """Name in the file to name in the network; None for what is no weight, such as a table of indices."""
    to_file: Callable[[str], str]
    """Name in the network to name in the file."""


schemes: Registry[KeyScheme] = Registry("key scheme", "docs/source-models.md")
"""All schemes; a new one is a record here."""


def _rewritten(name: str, rules: Rules) -> str:
    """Return a name after every rule, each applied once to the whole name and in this order."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name, count=1)
    return name


def _scheme(name: str, summary: str, forward: Rules, back: Rules, buffers: str = r"(?!)") -> KeyScheme:
    """Register a scheme made of two lists of rules, and the expression that buffers match to the end."""

    def to_network(key: str) -> str | None:
        return None if re.fullmatch(buffers, key) else _rewritten(key, forward)

    def to_file(key: str) -> str:
        return _rewritten(key, back)

    return schemes.add(name, KeyScheme(name, summary, to_network, to_file))


def _moved(pattern: str, replacement: str, offset: int) -> tuple[str, Callable[[re.Match[str]], str]]:
    """Return a rule whose first group is a number that is moved by an offset; ``{}`` stands for it."""
    return pattern, lambda found: replacement.format(int(found[1]) + offset)


_INDEX_TABLES = r"(.+\.)?(relative_position_index|attn_mask|relative_coords_table)"
"""Buffers of attention windows, which a network computes by itself."""

_scheme("same", "files whose names are the network's", (), ())

_scheme(
    "convnext-fb",
    "ConvNeXt and ConvNeXt-v2 as Facebook publishes them",
    (
        (r"^downsample_layers\.0\.", "stem."),
        (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
        (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"\.dwconv\.", ".conv_dw."),
        (r"\.pwconv(\d)\.", r".mlp.fc\1."),
        (r"\.grn\.beta$", ".mlp.grn.bias"),
        (r"\.grn\.gamma$", ".mlp.grn.weight"),
        (r"^head\.(weight|bias)$", r"head.fc.\1"),
        (r"^norm\.", "head.norm."),
    ),
    (
        (r"^stem\.", "downsample_layers.0."),
        (r"^stages\.(\d+)\.downsample\.", r"downsample_layers.\1."),
        (r"^stages\.(\d+)\.blocks\.", r"stages.\1."),
        (r"\.conv_dw\.", ".dwconv."),
        (r"\.mlp\.fc(\d)\.", r".pwconv\1."),
        (r"\.mlp\.grn\.bias$", ".grn.beta"),
        (r"\.mlp\.grn\.weight$", ".grn.gamma"),
        (r"^head\.norm\.", "norm."),
        (r"^head\.fc\.", "head."),
    ),
)

_scheme(
    "swin-official",
    "Swin transformers of Microsoft and of early timm: a stage ends with its merging of patches",
    (
        _moved(r"^layers\.(\d+)\.downsample\.", "layers.{}.downsample.", 1),
        (r"^head\.(weight|bias)$", r"head.fc.\1"),
    ),
    (
        _moved(r"^layers\.(\d+)\.downsample\.", "layers.{}.downsample.", -1),
        (r"^head\.fc\.", "head."),
    ),
    _INDEX_TABLES,
)

_scheme(
    "beit",
    "BEiT and SimMIM vision transformers, whose files also hold the indices of relative positions",
    (),
    (),
    _INDEX_TABLES,
)

_scheme(
    "resnet-sequential",
    "ResNets saved as the numbered modules of a sequence, as RadImageNet's",
    (
        (r"^0\.", "conv1."),
        (r"^1\.", "bn1."),
        _moved(r"^([4-7])\.", "layer{}.", -3),
    ),
    (
        (r"^conv1\.", "0."),
        (r"^bn1\.", "1."),
        _moved(r"^layer([1-4])\.", "{}.", 3),
    ),
)

_scheme(
    "densenet-sequential",
    "DenseNets saved as the first module of a sequence, as RadImageNet's",
    ((r"^0\.", "features."),),
    ((r"^features\.", "0."),),
)

_scheme(
    "clip-visual",
    "image towers in the names of OpenAI's CLIP and of open_clip",
    (
        (r"^class_embedding$", "cls_token"),
        (r"^positional_embedding$", "pos_embed"),
        (r"^conv1\.", "patch_embed.proj."),
        (r"^ln_pre\.", "norm_pre."),
        (r"^ln_post\.", "norm."),
        (r"^proj$", "head.weight"),
        (r"^transformer\.resblocks\.", "blocks."),
        (r"\.ln_(\d)\.", r".norm\1."),
        (r"\.attn\.in_proj_", ".attn.qkv."),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    ),
    (
        (r"^cls_token$", "class_embedding"),
        (r"^pos_embed$", "positional_embedding"),
        (r"^patch_embed\.proj\.", "conv1."),
        (r"^norm_pre\.", "ln_pre."),
        (r"^norm\.", "ln_post."),
        (r"^head\.weight$", "proj"),
        (r"^blocks\.", "transformer.resblocks."),
        (r"\.norm(\d)\.", r".ln_\1."),
        (r"\.attn\.qkv\.", ".attn.in_proj_"),
        (r"\.attn\.proj\.", ".attn.out_proj."),
        (r"\.mlp\.fc1\.", ".mlp.c_fc."),
        (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    ),
)
