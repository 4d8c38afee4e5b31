"""Names in published files become the network's, and back."""

from __future__ import annotations

import re
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.core.errors import NotRegisteredError
from medtransfer.models.key_rules import stripped, treated_names
from medtransfer.models.key_schemes import schemes
from medtransfer.models.rule_hints import depth_hint, rule_hint
from medtransfer.models.source_model import WeightsFile

NETWORKS = [
    ("convnext-fb", "convnext_tiny"),
    ("convnext-fb", "convnextv2_atto"),
    ("swin-official", "swin_tiny_patch4_window7_224"),
    ("beit", "beit_base_patch16_224"),
    ("resnet-sequential", "resnet50"),
    ("resnet-sequential", "resnet18"),
    ("densenet-sequential", "densenet121"),
    ("clip-visual", "vit_base_patch32_clip_quickgelu_224"),
    ("clip-transformers", "vit_base_patch16_siglip_224"),
    ("clip-transformers", "vit_base_patch32_clip_quickgelu_224"),
    ("dinov2-transformers", "vit_small_patch14_reg4_dinov2"),
    ("dinov2-transformers", "vit_giant_patch14_dinov2"),
    ("vit-transformers", "vit_tiny_patch16_224"),
    ("vit-transformers", "deit_tiny_distilled_patch16_224"),
    *((name, "resnet18") for name in ("same",)),
]
SWIN = "swin_tiny_patch4_window7_224"


@cache
def names_of(network: str) -> tuple[str, ...]:
    import timm

    with torch.device("meta"):
        return tuple(timm.create_model(network, num_classes=0).state_dict())


@pytest.mark.parametrize(("scheme", "network"), NETWORKS)
def test_every_name_of_a_network_goes_to_the_file_and_back(scheme: str, network: str) -> None:
    found = schemes.get(scheme)
    names = names_in(network, of_file=scheme)
    in_file = [found.to_file(name) for name in names]
    assert [found.to_network(name) for name in in_file] == names
    assert len(set(in_file)) == len(in_file)
    if scheme.endswith("-transformers"):
        left = {name for name in names if ".norm" not in name}
        assert not left & set(in_file), "every name but a normalisation's is another one"


def names_in(network: str, *, of_file: str) -> list[str]:
    """Names of a network, of what a file divides its parts."""
    if not of_file.endswith("-transformers"):
        return list(names_of(network))
    divided = [
        name.replace(".qkv.", f".{part}.")
        for name in names_of(network)
        for part in ("qkv" if ".qkv." in name else "-")
    ]
    return list(dict.fromkeys(re.sub(r"attn_pool\.(q|kv)\.", "attn_pool.in_proj_", name) for name in divided))


def test_every_scheme_is_tested_on_a_network_and_says_whose_names_it_knows() -> None:
    assert {scheme for scheme, _ in NETWORKS} == set(schemes.names())
    assert all(scheme.summary for scheme in schemes)


@pytest.mark.parametrize(
    ("scheme", "in_file", "in_network"),
    [
        ("convnext-fb", "downsample_layers.0.1.bias", "stem.1.bias"),
        ("convnext-fb", "downsample_layers.2.1.weight", "stages.2.downsample.1.weight"),
        ("convnext-fb", "stages.2.8.dwconv.weight", "stages.2.blocks.8.conv_dw.weight"),
        ("convnext-fb", "stages.0.1.pwconv2.bias", "stages.0.blocks.1.mlp.fc2.bias"),
        ("convnext-fb", "stages.0.1.gamma", "stages.0.blocks.1.gamma"),
        ("convnext-fb", "stages.0.1.grn.gamma", "stages.0.blocks.1.mlp.grn.weight"),
        ("convnext-fb", "norm.weight", "head.norm.weight"),
        ("convnext-fb", "head.weight", "head.fc.weight"),
        ("convnext-fb", "stages.1.2.norm.weight", "stages.1.blocks.2.norm.weight"),
        ("swin-official", "layers.0.downsample.norm.weight", "layers.1.downsample.norm.weight"),
        ("swin-official", "layers.2.downsample.reduction.weight", "layers.3.downsample.reduction.weight"),
        ("swin-official", "layers.2.blocks.10.attn.qkv.bias", "layers.2.blocks.10.attn.qkv.bias"),
        ("swin-official", "layers.0.blocks.1.attn_mask", None),
        ("swin-official", "layers.0.blocks.1.attn.relative_position_index", None),
        (
            "swin-official",
            "layers.0.blocks.1.attn.relative_position_bias_table",
            "layers.0.blocks.1.attn.relative_position_bias_table",
        ),
        ("beit", "blocks.3.attn.relative_position_index", None),
        ("resnet-sequential", "0.weight", "conv1.weight"),
        ("resnet-sequential", "1.running_mean", "bn1.running_mean"),
        ("resnet-sequential", "4.0.conv1.weight", "layer1.0.conv1.weight"),
        ("resnet-sequential", "7.2.bn3.bias", "layer4.2.bn3.bias"),
        ("densenet-sequential", "0.denseblock4.denselayer16.conv2.weight", None),
        ("clip-visual", "transformer.resblocks.11.attn.in_proj_weight", "blocks.11.attn.qkv.weight"),
        ("clip-visual", "transformer.resblocks.0.mlp.c_proj.bias", "blocks.0.mlp.fc2.bias"),
        ("clip-visual", "ln_pre.weight", "norm_pre.weight"),
        ("clip-visual", "class_embedding", "cls_token"),
        ("clip-transformers", "encoder.layers.26.self_attn.q_proj.bias", "blocks.26.attn.q.bias"),
        ("clip-transformers", "encoder.layers.0.self_attn.out_proj.weight", "blocks.0.attn.proj.weight"),
        ("clip-transformers", "embeddings.position_embedding.weight", "pos_embed"),
        ("clip-transformers", "embeddings.position_ids", None),
        ("clip-transformers", "head.attention.in_proj_weight", "attn_pool.in_proj_weight"),
        ("clip-transformers", "head.attention.out_proj.bias", "attn_pool.proj.bias"),
        ("clip-transformers", "pre_layrnorm.weight", "norm_pre.weight"),
        ("dinov2-transformers", "embeddings.mask_token", None),
        ("vit-transformers", "pooler.dense.weight", None),
        ("dinov2-transformers", "encoder.layer.3.attention.attention.key.weight", "blocks.3.attn.k.weight"),
        ("dinov2-transformers", "encoder.layer.3.attention.output.dense.bias", "blocks.3.attn.proj.bias"),
        ("dinov2-transformers", "encoder.layer.3.layer_scale2.lambda1", "blocks.3.ls2.gamma"),
        ("dinov2-transformers", "encoder.layer.3.mlp.weights_in.weight", "blocks.3.mlp.fc1.weight"),
        ("vit-transformers", "encoder.layer.3.attention.output.dense.bias", "blocks.3.attn.proj.bias"),
        ("vit-transformers", "encoder.layer.3.output.dense.bias", "blocks.3.mlp.fc2.bias"),
        ("vit-transformers", "encoder.layer.3.layernorm_before.weight", "blocks.3.norm1.weight"),
        ("vit-transformers", "layernorm.weight", "norm.weight"),
    ],
)
def test_names_as_published(scheme: str, in_file: str, in_network: str | None) -> None:
    if scheme == "densenet-sequential":
        in_network = "features.denseblock4.denselayer16.conv2.weight"
    assert schemes.get(scheme).to_network(in_file) == in_network


@given(name=st.text(alphabet="abn.0147_", max_size=30), scheme=st.sampled_from(schemes.names()))
def test_schemes_take_any_name(name: str, scheme: str) -> None:
    found = schemes.get(scheme)
    assert isinstance(found.to_file(name), str)
    assert found.to_network(name) is None or isinstance(found.to_network(name), str)


def test_unknown_scheme_is_refused_with_near_names() -> None:
    with pytest.raises(NotRegisteredError, match="convnext-fb"):
        treated_names(["a"], WeightsFile(scheme="convnext"))


def test_rules_apply_in_their_order() -> None:
    weights = WeightsFile(
        prefix="student.",
        strip=("module.", "backbone."),
        ignore=(r"stages\.9\..*",),
        scheme="convnext-fb",
        rename=(("stem.", "begin."),),
    )
    names = treated_names(
        [
            "student.module.backbone.downsample_layers.0.0.weight",
            "student.backbone.norm.weight",
            "student.norm.bias",
            "student.module.stages.9.1.dwconv.weight",
            "teacher.module.backbone.norm.weight",
        ],
        weights,
    )
    assert names.placed == {
        "begin.0.weight": "student.module.backbone.downsample_layers.0.0.weight",
        "head.norm.weight": "student.backbone.norm.weight",
        "head.norm.bias": "student.norm.bias",
    }
    assert names.ignored == ("student.module.stages.9.1.dwconv.weight",)
    assert names.outside == ("teacher.module.backbone.norm.weight",)


def test_strip_removes_each_start_once_and_only_at_the_start() -> None:
    starts = ("module.", "encoder.")
    assert stripped("module.encoder.conv1.weight", starts) == "conv1.weight"
    assert stripped("encoder.module.conv1.weight", starts) == "module.conv1.weight"
    assert stripped("module.module.conv1.weight", starts) == "module.conv1.weight"
    assert stripped("conv1.encoder.weight", starts) == "conv1.encoder.weight"


def hint(network: str, file: list[str], weights: WeightsFile) -> str:
    placed = treated_names(file, weights).placed
    missing = [name for name in names_of(network) if name not in placed]
    return rule_hint(missing, names_of(network), dict.fromkeys(file).keys(), weights)


@pytest.mark.parametrize(
    ("network", "scheme", "start", "weights", "advice"),
    [
        ("convnext_tiny", "convnext-fb", "", WeightsFile(), "scheme='convnext-fb'"),
        (SWIN, "same", "", WeightsFile(scheme="swin-official"), "scheme='same'"),
        (SWIN, "swin-official", "", WeightsFile(), "scheme='swin-official'"),
        (SWIN, "swin-official", "encoder.", WeightsFile(), "prefix='encoder.', scheme='swin-official'"),
        ("convnext_tiny", "convnext-fb", "model.", WeightsFile(), "prefix='model.', scheme='convnext-fb'"),
        ("convnext_tiny", "convnext-fb", "m.", WeightsFile(scheme="convnext-fb"), "prefix='m.'"),
        ("resnet50", "resnet-sequential", "backbone.", WeightsFile(), "prefix='backbone.', scheme="),
        ("resnet50", "same", "", WeightsFile(prefix="module."), "prefix=''"),
    ],
)
def test_rule_that_fits_is_suggested(
    network: str, scheme: str, start: str, weights: WeightsFile, advice: str
) -> None:
    file = [start + schemes.get(scheme).to_file(name) for name in names_of(network)]
    assert f"The names agree with {advice}" in hint(network, file, weights)


def test_strip_is_suggested_where_only_some_names_have_the_start() -> None:
    file = [("module." if n.startswith("layer") else "") + n for n in names_of("resnet50")]
    assert hint("resnet50", file, WeightsFile()) == "The names agree with strip=['module.']."


def test_nothing_is_suggested_where_the_rules_are_right() -> None:
    file = [name for name in names_of("resnet50") if name != "conv1.weight"]
    assert hint("resnet50", file, WeightsFile()) == ""


def test_other_numbers_of_the_same_layers_hint_at_another_depth() -> None:
    assert "another depth" in depth_hint(["layer3.9.conv1.weight"], ["layer3.0.conv1.weight"])
    assert depth_hint(["extra.weight"], ["layer3.0.conv1.weight"]) == ""
    assert depth_hint([], ["conv1.weight"]) == ""
