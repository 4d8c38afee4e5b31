"""The transformers of pathology against what their publishers tell timm to build."""

from __future__ import annotations

from typing import Any, cast

import pytest
import timm
import torch
from timm.layers.mlp import SwiGLUPacked
from torch import Tensor, nn

from medtransfer.models.architectures.gated_transformer import GatedTransformer
from medtransfer.models.backbones import build_backbone
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.fixed_size import fit_to_size

SMALL: dict[str, Any] = {"img_size": 56, "embed_dim": 24, "depth": 2, "num_heads": 2}


def published(**options: Any) -> nn.Module:
    """The network as the publishers' pages build it, with tokens for its output."""
    network: nn.Module = timm.create_model(
        "vit_huge_patch14_224",
        mlp_layer=SwiGLUPacked,
        act_layer=nn.SiLU,
        init_values=1e-5,
        num_classes=0,
        global_pool="",
        **SMALL,
        **options,
    )
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / 4)
    return network.eval()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 56, 56, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("registers", "without_positions"), [(0, False), (4, False), (8, True)])
@pytest.mark.parametrize("embedding", ["class", "class-and-mean"])
def test_embedding_is_the_one_their_pages_compute(
    embedding: Any, registers: int, without_positions: bool
) -> None:
    options = {"mlp_ratio": 5.3375, "reg_tokens": registers, "no_embed_class": without_positions}
    theirs = published(**options)
    ours = GatedTransformer(embedding=embedding, **SMALL, **options).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        tokens, found = theirs(images()), ours(images())
    assert tokens.shape == (2, 1 + registers + 16, 24)
    expected = tokens[:, 0]
    if embedding == "class-and-mean":
        expected = torch.cat([tokens[:, 0], tokens[:, 1 + registers :].mean(1)], dim=-1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("name", "parameters", "tokens", "gated", "features"),
    [
        ("vit_huge_patch14_gated.virchow", 631_229_184, 257, 6832, 2560),
        ("vit_huge_patch14_gated_reg4.virchow2", 631_239_424, 261, 6832, 2560),
        ("vit_giant_patch14_reg8.uni2", 681_394_176, 256, 8192, 1536),
    ],
)
def test_entries_have_the_sizes_that_were_published(
    name: str, parameters: int, tokens: int, gated: int, features: int
) -> None:
    model = catalogue.get(name)
    with torch.device("meta"):
        network = build_backbone(model.architecture, model.input, 0)
        assert network(torch.empty(1, 3, 224, 224)).shape == (1, features)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    state = network.state_dict()
    assert state["pos_embed"].shape[1] == tokens
    assert state["blocks.0.mlp.fc1.weight"].shape[0] == gated
    assert state["blocks.0.mlp.fc2.weight"].shape[1] == gated // 2


def test_another_size_of_images_keeps_the_embedding_of_two_parts() -> None:
    network = GatedTransformer(embedding="class-and-mean", mlp_ratio=4.0, reg_tokens=4, **SMALL).eval()
    fit_to_size(network, resolve_model("vit_huge_patch14_gated.random").architecture, 56, 84)
    embeddings = network(torch.zeros(1, 3, 84, 84))
    assert embeddings.shape == (1, 48)
    assert cast("Tensor", network.pos_embed).shape == (1, 1 + 4 + 36, 24)


def test_grey_images_are_taken_as_such() -> None:
    network = GatedTransformer(channels=1, mlp_ratio=4.0, **SMALL).eval()
    assert network(torch.zeros(1, 1, 56, 56)).shape == (1, 24)
