"""Tensors that are one on one side and several on the other: each number arrives once, in its place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.core.errors import WeightsError
from medtransfer.models.joined_tensors import Join, Source, sources_of
from medtransfer.models.key_audit import match_keys
from medtransfer.models.load_weights import load_into
from medtransfer.models.source_model import WeightsFile

QKV = Join(r"(.+)\.qkv\.(weight|bias)", (r"\1.q.\2", r"\1.k.\2", r"\1.v.\2"), (1, 1, 1))
SIGLIP = WeightsFile(file="x", prefix="vision_model.", scheme="clip-transformers")
WIDTH, SIDE, PATCH = 8, 28, 14


def test_several_of_the_file_become_one_of_the_network_in_their_order() -> None:
    placed = {"a.v.weight": "V", "a.q.weight": "Q", "a.k.weight": "K"}
    (source,) = sources_of(["a.qkv.weight"], placed, [QKV]).values()
    assert source.names == ("Q", "K", "V")
    file = {name: torch.full((2, 3), float(number)) for number, name in enumerate("QKV")}
    assert source.shape(file) == (6, 3)
    assert source.read(file)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_one_of_the_file_becomes_several_of_the_network() -> None:
    join = Join("pool.in_proj", ("pool.q", "pool.kv"), (1, 2))
    found = sources_of(["pool.kv", "pool.q"], {"pool.in_proj": "I"}, [join])
    file = {"I": torch.arange(6.0)[:, None].expand(6, 4)}
    assert {name: source.read(file)[:, 0].tolist() for name, source in found.items()} == {
        "pool.q": [0, 1],
        "pool.kv": [2, 3, 4, 5],
    }
    assert [source.shape(file) for source in found.values()] == [(4, 4), (2, 4)]
    assert [source.description for source in found.values()] == [
        "part 2 to 3 of 3 of the rows of I",
        "part 1 of 3 of the rows of I",
    ]


def test_what_the_network_has_itself_is_not_joined() -> None:
    network = ["a.q.weight", "a.k.weight", "a.v.weight"]
    assert sources_of(network, {name: name for name in network}, [QKV]) == {
        name: Source((name,)) for name in network
    }
    both = sources_of(["a.qkv.weight"], {"a.qkv.weight": "X", "a.q.weight": "Q"}, [QKV])
    assert both == {"a.qkv.weight": Source(("X",))}


def test_a_part_that_is_absent_leaves_the_others_unmatched() -> None:
    network = {"blocks.0.attn.qkv.weight": torch.zeros(6, 2)}
    name = "vision_model.encoder.layers.0.self_attn.{}_proj.weight"
    file = {name.format(part): torch.zeros(2, 2) for part in "qv"}
    audit = match_keys(network, file, SIGLIP)
    assert audit.missing == ("blocks.0.attn.qkv.weight",)
    assert audit.unmatched == ("blocks.0.attn.q.weight", "blocks.0.attn.v.weight")
    assert [problem.what for problem in audit.problems("m")] == ["missing-weights", "unmatched-weights"]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (torch.zeros(2, 3), "(2, 2) of float32 and (2, 3) of float32 and (2, 2) of float32"),
        (torch.zeros(3, 2), "(2, 2) of float32 and (3, 2) of float32 and (2, 2) of float32"),
        (torch.zeros(2, 2).half(), "(2, 2) of float32 and (2, 2) of float16 and (2, 2) of float32"),
        (torch.zeros(2, 2).int(), "(2, 2) of float32 and (2, 2) of int32 and (2, 2) of float32"),
    ],
)
def test_parts_that_do_not_go_together_are_shown(changed: Tensor, found: str) -> None:
    network = {"blocks.0.attn.qkv.weight": torch.zeros(6, 2)}
    name = "vision_model.encoder.layers.0.self_attn.{}_proj.weight"
    file = {name.format(part): torch.zeros(2, 2) for part in "qv"} | {name.format("k"): changed}
    (problem,) = match_keys(network, file, SIGLIP).problems("m")
    assert (problem.expected, problem.found) == ("(6, 2) of float32", found)


def test_rows_that_do_not_divide_are_shown() -> None:
    network = {"attn_pool.q.weight": torch.zeros(2, 2), "attn_pool.kv.weight": torch.zeros(4, 2)}
    file = {"vision_model.head.attention.in_proj_weight": torch.zeros(7, 2)}
    problems = match_keys(network, file, SIGLIP).problems("m")
    assert [problem.found for problem in problems] == [
        "2/3 of (7, 2) of float32",
        "1/3 of (7, 2) of float32",
    ]


class Tower(nn.Module):
    """An image tower of SigLIP with the names of transformers, written with torch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.patch_embedding = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.embeddings.position_embedding = nn.Embedding((SIDE // PATCH) ** 2, WIDTH)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(nn.Module() for _ in range(2))
        for layer in self.encoder.layers:
            layer.self_attn = nn.Module()
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                setattr(layer.self_attn, name, nn.Linear(WIDTH, WIDTH))
            layer.layer_norm1, layer.layer_norm2 = nn.LayerNorm(WIDTH, 1e-6), nn.LayerNorm(WIDTH, 1e-6)
            layer.mlp = self.perceptron()
        self.post_layernorm = nn.LayerNorm(WIDTH, 1e-6)
        self.head = nn.Module()
        self.head.probe = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.head.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head.layernorm, self.head.mlp = nn.LayerNorm(WIDTH, 1e-6), self.perceptron()

    @staticmethod
    def perceptron() -> nn.Module:
        layers = nn.Module()
        layers.fc1, layers.fc2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        return layers

    def forward(self, images: Tensor) -> Tensor:
        tower: Any = self
        x = tower.embeddings.patch_embedding(images).flatten(2).transpose(1, 2)
        x = x + tower.embeddings.position_embedding.weight
        for layer in tower.encoder.layers:
            normal = layer.layer_norm1(x)
            q, k, v = (getattr(layer.self_attn, f"{part}_proj")(normal) for part in "qkv")
            heads = [
                functional.softmax(a @ b.transpose(1, 2) / a.shape[2] ** 0.5, dim=-1) @ c
                for a, b, c in zip(q.chunk(2, 2), k.chunk(2, 2), v.chunk(2, 2), strict=True)
            ]
            x = x + layer.self_attn.out_proj(torch.cat(heads, dim=2))
            x = x + self.through(layer.mlp, layer.layer_norm2(x))
        x = self.post_layernorm(x)
        pooled = self.head.attention(tower.head.probe.expand(len(x), -1, -1), x, x, need_weights=False)[0]  # type: ignore[operator]
        return (pooled + self.through(tower.head.mlp, tower.head.layernorm(pooled)))[:, 0]

    def through(self, layers: Any, x: Tensor) -> Tensor:
        hidden: Tensor = layers.fc2(functional.gelu(layers.fc1(x), approximate="tanh"))
        return hidden


def small_siglip() -> nn.Module:
    """The network of the entry for MedSigLIP, made small."""
    import timm

    from medtransfer.models.entries.networks import MEDSIGLIP

    options = {**dict(MEDSIGLIP.options), "img_size": SIDE, "embed_dim": WIDTH, "depth": 2, "num_heads": 2}
    network: nn.Module = timm.create_model(MEDSIGLIP.builder, num_classes=0, mlp_ratio=2, **options)
    return network.eval()


def trained_tower() -> Tower:
    tower = Tower()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / 3)
    return tower.eval()


def test_an_image_tower_of_transformers_computes_the_same_as_its_publisher_s() -> None:
    tower, network = trained_tower(), small_siglip()
    file = {f"vision_model.{name}": tensor for name, tensor in tower.state_dict().items()}
    file |= {"vision_model.embeddings.position_ids": torch.arange(4)[None], "logit_scale": torch.ones(1)}
    audit = load_into(network, file, SIGLIP, "m")
    images = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(images), tower(images), rtol=1e-5, atol=1e-6)
    assert (audit.share, audit.problems("m")) == (1.0, [])
    assert audit.read | set(audit.dropped) | set(audit.ignored) == set(file)
    assert (audit.ignored, audit.dropped) == (("vision_model.embeddings.position_ids",), ("logit_scale",))
    assert audit.adapted["blocks.1.attn.qkv.bias"] == (
        "3 tensors stacked: vision_model.encoder.layers.1.self_attn.q_proj.bias, "
        "vision_model.encoder.layers.1.self_attn.k_proj.bias, "
        "vision_model.encoder.layers.1.self_attn.v_proj.bias"
    )
    assert audit.counts()["adapted"] == 4 + 4 + 1  # Two blocks, the pooling, the positions.


def test_the_order_of_query_key_and_value_matters() -> None:
    tower, network = trained_tower(), small_siglip()
    file = {f"vision_model.{name}": tensor for name, tensor in tower.state_dict().items()}
    names = [f"vision_model.encoder.layers.0.self_attn.{part}_proj.weight" for part in "qv"]
    file[names[0]], file[names[1]] = file[names[1]], file[names[0]]
    load_into(network, file, SIGLIP, "m")
    images = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (network(images) - tower(images)).abs().max() > 1e-3


def test_the_rule_for_a_tower_of_transformers_is_suggested() -> None:
    file = {f"vision_model.{name}": tensor for name, tensor in trained_tower().state_dict().items()}
    with pytest.raises(WeightsError, match=r"agree with prefix='vision_model\.', scheme='clip-transformers'"):
        load_into(small_siglip(), file, WeightsFile(file="x"), "m")


def test_a_deeper_tower_is_recognised() -> None:
    tower, network = trained_tower(), small_siglip()
    file = {f"vision_model.{name}": tensor for name, tensor in tower.state_dict().items()}
    more = {name.replace("layers.1.", "layers.2."): t for name, t in file.items() if "layers.1." in name}
    with pytest.raises(WeightsError, match="another depth"):
        load_into(network, {**file, **more}, SIGLIP, "m")
