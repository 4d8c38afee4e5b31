"""Tensors of another shape are changed only as declared, by the right numbers, and the change is recorded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.models.adaptations import PlannedAdaptation, planned_adaptation
from medtransfer.models.backbones import build_backbone
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.key_audit import match_keys
from medtransfer.models.load_weights import load_into
from medtransfer.models.source_model import Adaptation, WeightsFile

ALL: tuple[Adaptation, ...] = (
    "positions",
    "bias-tables",
    "linear-to-conv",
    "stem-channels",
    "leading-axes",
)


def plan(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> PlannedAdaptation:
    result = planned_adaptation(name, found, expected, ALL)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("name", "found", "expected", "kind"),
    [
        ("pos_embed", (1, 197, 8), (1, 257, 8), "positions"),
        ("pos_embed", (1, 196, 8), (1, 256, 8), "positions"),
        ("encoder.pos_embed", (1, 201, 8), (1, 261, 8), "positions"),
        ("pos_embed", (50, 8), (1, 197, 8), "positions"),
        ("pos_embed", (50, 8), (1, 50, 8), "leading-axes"),
        ("cls_token", (8,), (1, 1, 8), "leading-axes"),
        ("layers.0.attn.relative_position_bias_table", (121, 4), (169, 4), "bias-tables"),
        ("rel_pos_bias.relative_position_bias_table", (732, 12), (964, 12), "bias-tables"),
        ("mlp.fc1.weight", (16, 8), (16, 8, 1, 1), "linear-to-conv"),
        ("conv1.weight", (8, 3, 7, 7), (8, 1, 7, 7), "stem-channels"),
        ("conv1.weight", (8, 1, 7, 7), (8, 3, 7, 7), "stem-channels"),
    ],
)
def test_kind_of_change(
    name: str, found: tuple[int, ...], expected: tuple[int, ...], kind: Adaptation
) -> None:
    assert plan(name, found, expected).kind == kind
    assert planned_adaptation(name, found, expected, ()) is None
    assert planned_adaptation(name, found, expected, [other for other in ALL if other != kind]) is None


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("pos_embed", (1, 197, 8), (1, 257, 9)),
        ("pos_embed", (1, 197, 8), (1, 256, 8)),
        ("pos_embed", (2, 197, 8), (1, 257, 8)),
        ("other", (1, 197, 8), (1, 257, 8)),
        ("relative_position_bias_table", (121, 4), (169, 5)),
        ("relative_position_bias_table", (144, 4), (169, 4)),
        ("conv1.weight", (8, 3, 7, 7), (8, 4, 7, 7)),
        ("conv1.weight", (8, 3, 5, 5), (8, 1, 7, 7)),
        ("fc.weight", (16, 8), (8, 16, 1, 1)),
        ("fc.weight", (16, 8), (8, 16)),
        ("cls_token", (8,), (2, 1, 8)),
    ],
)
def test_other_shapes_are_not_made_to_fit(
    name: str, found: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert planned_adaptation(name, found, expected, ALL) is None


def test_positions_agree_with_timm_and_keep_the_class_token() -> None:
    from timm.layers import resample_abs_pos_embed

    old = torch.randn(1, 197, 8, generator=torch.Generator().manual_seed(0))
    new = plan("pos_embed", (1, 197, 8), (1, 257, 8)).apply(old)
    assert torch.equal(new[:, 0], old[:, 0])
    torch.testing.assert_close(new, resample_abs_pos_embed(old, [16, 16], [14, 14]))


def test_positions_of_a_smooth_map_stay_that_map() -> None:
    ramp = torch.linspace(0, 1, 14)[:, None].expand(14, 14).reshape(1, 196, 1)
    new = plan("pos_embed", (1, 196, 1), (1, 256, 1)).apply(ramp).reshape(16, 16)
    assert torch.all(new.diff(dim=0) > 0)
    torch.testing.assert_close(new[:, :1].expand(16, 16), new)


def test_bias_table_keeps_its_centre_its_heads_and_the_rows_of_a_class_token() -> None:
    old = torch.randn(27 * 27 + 3, 2, generator=torch.Generator().manual_seed(0))
    new = plan("x.relative_position_bias_table", (732, 2), (964, 2)).apply(old)
    assert new.shape == (31 * 31 + 3, 2)
    assert torch.equal(new[-3:], old[-3:])
    centre = new[:-3].reshape(31, 31, 2)[15, 15]
    torch.testing.assert_close(centre, old[:-3].reshape(27, 27, 2)[13, 13], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [(3, 1), (1, 3)])
def test_grey_image_gets_the_same_answer_from_a_stem_of_other_channels(channels: tuple[int, int]) -> None:
    before, after = channels
    draw = torch.Generator().manual_seed(0)
    kernel = torch.randn(4, before, 3, 3, generator=draw)
    changed = plan("conv1.weight", (4, before, 3, 3), (4, after, 3, 3)).apply(kernel)
    grey = torch.randn(2, 1, 9, 9, generator=draw)

    def answer(weight: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(grey.expand(-1, weight.shape[1], -1, -1), weight)

    torch.testing.assert_close(answer(changed), answer(kernel), rtol=1e-4, atol=1e-5)


def test_matrix_as_convolution_computes_the_same() -> None:
    draw = torch.Generator().manual_seed(0)
    matrix, vector = torch.randn(6, 4, generator=draw), torch.randn(1, 4, generator=draw)
    kernel = plan("fc.weight", (6, 4), (6, 4, 1, 1)).apply(matrix)
    found = torch.nn.functional.conv2d(vector[..., None, None], kernel).flatten(1)
    torch.testing.assert_close(found, vector @ matrix.T)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_stored_type_is_kept(dtype: torch.dtype) -> None:
    assert plan("pos_embed", (1, 5, 2), (1, 10, 2)).apply(torch.ones(1, 5, 2, dtype=dtype)).dtype is dtype


def test_adaptation_is_recorded_in_the_account_and_done_on_load() -> None:
    model = resolve_model("resnet20.random")
    network = build_backbone(model.architecture, model.input, 0)
    draw = torch.Generator().manual_seed(5)
    file = {
        name: torch.rand(tensor.shape, generator=draw) + 0.1 if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    colour = file["conv1.weight"]
    file["conv1.weight"] = colour[:, :1]
    with pytest.raises(WeightsError, match=r"conv1.weight: expected \(16, 3, 3, 3\)"):
        load_into(network, file, WeightsFile(), "m")
    audit = load_into(network, file, WeightsFile(adapt=("stem-channels",)), "m")
    assert audit.adapted == {
        "conv1.weight": "first layer changed to another number of channels, (16, 1, 3, 3) to (16, 3, 3, 3)"
    }
    assert (audit.counts()["adapted"], audit.share) == (1, 1.0)
    expected = colour[:, :1].expand(-1, 3, -1, -1) / 3
    torch.testing.assert_close(network.state_dict()["conv1.weight"], expected)


def test_whole_numbers_are_not_adapted() -> None:
    network = {"pos_embed": torch.zeros(1, 10, 2), "x.weight": torch.zeros(2)}
    file = {"pos_embed": torch.zeros(1, 5, 2, dtype=torch.int64), "x.weight": torch.ones(2)}
    audit = match_keys(network, file, WeightsFile(adapt=("positions",)))
    assert [wrong.name for wrong in audit.mismatched] == ["pos_embed"]
