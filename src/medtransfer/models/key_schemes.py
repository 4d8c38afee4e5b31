"""How publishers name the tensors of networks we know: a map of names and its inverse, without torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from medtransfer.core.registry import Registry
from medtransfer.models.joined_tensors import Join
from medtransfer.models.source_model import Adaptation

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


@dataclass(frozen=True)
class KeyScheme:
    """Names in a family of published files and in the network, in both directions.

    For every tensor name ``x`` of a network the scheme is made for, ``to_network(to_file(x)) == x``; where a
    join takes part, for the names on the file's side of it.
    """

    name: str
    """Registry name."""
    summary: str
    """Whose files are named so, as one clause."""
    to_network: Callable[[str], str | None]
    """Name in the file to name in the network; None for what is no weight, such as a table of indices."""
    to_file: Callable[[str], str]
    """Name in the network to name in the file."""
    joins: tuple[Join, ...] = ()
    """Tensors that are one in the network and several in the file, or the other way round, in names of the
    network."""
    adapt: tuple[Adaptation, ...] = ()
    """What every file of the family needs done to tensors of another shape."""


schemes: Registry[KeyScheme] = Registry("key scheme", "docs/source-models.md")
"""All schemes; a new one is a record here."""


def _rewritten(name: str, rules: Rules) -> str:
    """Return a name after every rule, each applied once to the whole name and in this order."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name, count=1)
    return name


def _scheme(
    name: str,
    summary: str,
    forward: Rules,
    back: Rules,
    buffers: str = r"(?!)",
    joins: tuple[Join, ...] = (),
    adapt: tuple[Adaptation, ...] = (),
) -> KeyScheme:
    """Register a scheme made of two lists of rules, and of what else it says.

    ``buffers`` is the expression that names of no use to an encoder match to the end.
    """

    def to_network(key: str) -> str | None:
        return None if re.fullmatch(buffers, key) else _rewritten(key, forward)

    def to_file(key: str) -> str:
        return _rewritten(key, back)

    return schemes.add(name, KeyScheme(name, summary, to_network, to_file, joins, adapt))


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

_QUERY_KEY_VALUE = Join(r"(.+\.attn)\.qkv\.(weight|bias)", (r"\1.q.\2", r"\1.k.\2", r"\1.v.\2"), (1, 1, 1))
"""Attention of timm's vision transformers: one matrix for what transformers keeps in three."""

_LATENT_ATTENTION = Join(r"attn_pool\.in_proj_(weight|bias)", (r"attn_pool.q.\1", r"attn_pool.kv.\1"), (1, 2))
"""Attention pooling: one matrix in transformers, one for the query and one for the rest in timm."""

_scheme(
    "clip-transformers",
    "image towers of CLIP and SigLIP as the library transformers names them, after 'vision_model.'",
    (
        (r"^embeddings\.class_embedding$", "cls_token"),
        (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
        (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
        (r"^pre_layrnorm\.", "norm_pre."),
        (r"^post_layernorm\.", "norm."),
        (r"^head\.probe$", "attn_pool.latent"),
        (r"^head\.attention\.out_proj\.", "attn_pool.proj."),
        (r"^head\.attention\.", "attn_pool."),
        (r"^head\.layernorm\.", "attn_pool.norm."),
        (r"^head\.mlp\.", "attn_pool.mlp."),
        (r"^encoder\.layers\.", "blocks."),
        (r"\.layer_norm(\d)\.", r".norm\1."),
        (r"\.self_attn\.out_proj\.", ".attn.proj."),
        (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
    ),
    (
        (r"^cls_token$", "embeddings.class_embedding"),
        (r"^pos_embed$", "embeddings.position_embedding.weight"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
        (r"^norm_pre\.", "pre_layrnorm."),
        (r"^norm\.", "post_layernorm."),
        (r"^attn_pool\.latent$", "head.probe"),
        (r"^attn_pool\.proj\.", "head.attention.out_proj."),
        (r"^attn_pool\.norm\.", "head.layernorm."),
        (r"^attn_pool\.mlp\.", "head.mlp."),
        (r"^attn_pool\.", "head.attention."),
        (r"^blocks\.", "encoder.layers."),
        (r"\.norm(\d)\.", r".layer_norm\1."),
        (r"\.attn\.proj\.", ".self_attn.out_proj."),
        (r"\.attn\.([qkv])\.", r".self_attn.\1_proj."),
    ),
    r"embeddings\.position_ids",
    (_QUERY_KEY_VALUE, _LATENT_ATTENTION),
    ("leading-axes",),
)

_scheme(
    "dinov2-transformers",
    "DINOv2 as the library transformers names it",
    (
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.register_tokens$", "reg_token"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.", ""),
        (r"^layernorm\.", "norm."),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.attention\.attention\.([qkv])(?:uery|ey|alue)\.", r".attn.\1."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
        (r"\.mlp\.weights_in\.", ".mlp.fc1."),
        (r"\.mlp\.weights_out\.", ".mlp.fc2."),
    ),
    (
        (r"^pos_embed$", "embeddings.position_embeddings"),
        (r"^reg_token$", "embeddings.register_tokens"),
        (r"^cls_token$", "embeddings.cls_token"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
        (r"^norm\.", "layernorm."),
        (r"^blocks\.", "encoder.layer."),
        (r"\.attn\.q\.", ".attention.attention.query."),
        (r"\.attn\.k\.", ".attention.attention.key."),
        (r"\.attn\.v\.", ".attention.attention.value."),
        (r"\.attn\.proj\.", ".attention.output.dense."),
        (r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),
    ),
    r"embeddings\.mask_token",
    joins=(_QUERY_KEY_VALUE,),
)

_scheme(
    "vit-transformers",
    "vision transformers (ViT, DeiT, DINO, MAE) as the library transformers names them",
    (
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.distillation_token$", "dist_token"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^embeddings\.", ""),
        (r"^layernorm\.", "norm."),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.attention\.attention\.([qkv])(?:uery|ey|alue)\.", r".attn.\1."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
    ),
    (
        (r"^pos_embed$", "embeddings.position_embeddings"),
        (r"^dist_token$", "embeddings.distillation_token"),
        (r"^cls_token$", "embeddings.cls_token"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
        (r"^norm\.", "layernorm."),
        (r"^blocks\.", "encoder.layer."),
        (r"\.attn\.q\.", ".attention.attention.query."),
        (r"\.attn\.k\.", ".attention.attention.key."),
        (r"\.attn\.v\.", ".attention.attention.value."),
        (r"\.attn\.proj\.", ".attention.output.dense."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ),
    r"embeddings\.mask_token|pooler\.dense\.(weight|bias)",
    joins=(_QUERY_KEY_VALUE,),
)
