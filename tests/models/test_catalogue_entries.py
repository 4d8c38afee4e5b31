"""The entries agree with the studies that used them, with timm, and with what their notes say."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from medtransfer.models.backbones import build_backbone
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.key_audit import match_keys
from medtransfer.models.source_model import SourceModel

FROM_HUB = [model.name for model in catalogue if model.weights is not None and model.weights.hub]

STUDY_A = [
    "random",
    "tv_in1k",
    "insdis_in1k",
    "mocov1_in1k",
    "mocov2_in1k",
    "pirl_in1k",
    "infomin_in1k",
    "simclrv1_in1k",
    "simclrv2_in1k",
    "pclv1_in1k",
    "pclv2_in1k",
    "byol_in1k",
    "swav_in1k",
    "deepclusterv2_in1k",
    "selav2_in1k",
    "barlowtwins_in1k",
    "sup_inat2021",
    "sup_inat2021mini",
    "sup_chestxray14",
    "sup_chexpert",
    "in1k_ft_chestxray14",
    "in1k_ft_chexpert",
]
SELF_SUPERVISED_B = [
    "insdis",
    "pirl",
    "mocov1",
    "mocov2",
    "simclrv1",
    "simclrv2",
    "infomin",
    "deepclusterv2",
    "selav2",
    "pclv1",
    "pclv2",
    "swav",
    "barlowtwins",
    "byol",
    "clsa",
    "pixpro",
    "densecl",
    "detco",
    "vicregl",
    "dino",
    "simsiam",
    "obow",
]
ARCHITECTURES_B = [
    *(f"resnet{depth}.tv_in1k" for depth in (50, 101, 152)),
    *(f"convnext_{size}.fb_in1k" for size in ("tiny", "small", "base")),
    *(f"swin_{size}_patch4_window7_224.ms_in1k" for size in ("tiny", "small", "base")),
    *(f"deit_{size}_patch16_224.fb_in1k" for size in ("tiny", "small", "base")),
]
GRANULARITIES_B = ["tv_in1k", "sup_inat2021", "sup_in22k", "sup_coco", "sup_places365"]
ADAPTED_B = ["resnet50", "swin_base_patch4_window7_224", "convnext_base"]
SIBLINGS = [
    *(
        f"vit_{s}_patch16_224.{t}"
        for s in ("small", "base")
        for t in ("augreg_in21k", "augreg_in21k_ft_in1k")
    ),
    *(f"vit_{s}_patch16_224.{t}" for s in ("small", "base") for t in ("dino", "mocov3_in1k")),
    *(f"vit_base_patch16_224.{tag}" for tag in ("sam_in1k", "mae", "simmim_in1k")),
    "beit_base_patch16_224.in22k_ft_in22k_in1k",
    "swin_tiny_patch4_window7_224.moby_in1k",
    *(f"swin_base_patch4_window7_224.simmim_{data}" for data in ("in1k", "chestxray14", "xray926k")),
    *(f"swin_base_patch4_window7_224.simmim_in1k_then_{data}" for data in ("chestxray14", "xray926k")),
    *(f"swin_base_patch4_window7_224.{t}" for t in ("ms_in22k", "ms_in22k_ft_in1k", "ark5", "ark6")),
    *(f"resnet50.dira_{method}_chestxray14" for method in ("mocov2", "barlow", "simsiam")),
]
STUDY_C = [
    "simclr_in1k_jonske",
    "simclr_radnet1m",
    "simclr_radnet12m",
    "simclr_in1k_then_radnet1m",
    "simclr_in1k_radnet1m_mixed",
]
ADDITIONS = [
    *("resnet50.radimagenet", "densenet121.radimagenet", "vit_base_patch14.raddino"),
    *(f"vit_{size}_patch14_dinov2.lvd142m" for size in ("small", "base", "large")),
    *(f"densenet121.xrv_{data}" for data in ("all", "nih", "chex", "mimic", "pc", "rsna")),
    "vit_base_patch16_224.biomedclip",
]


@pytest.mark.parametrize(
    "name",
    [
        *(f"resnet50.{tag}" for tag in STUDY_A),
        *(f"resnet50.{method}_in1k" for method in SELF_SUPERVISED_B),
        *ARCHITECTURES_B,
        *(f"resnet50.{tag}" for tag in GRANULARITIES_B),
        *(f"{architecture}.in1k_ft_mimic" for architecture in ADAPTED_B),
        *SIBLINGS,
        *(f"resnet50.{tag}" for tag in STUDY_C),
        *ADDITIONS,
    ],
)
def test_model_of_the_studies_has_an_entry(name: str) -> None:
    assert name in catalogue


def test_studies_have_as_many_models_as_published() -> None:
    used = Counter(study for model in catalogue for study in model.studies)
    assert used["A"] == 21 == len(STUDY_A) - 1
    assert used["C"] == 5
    originals = [m for m in catalogue if "B" in m.studies and m.name.endswith("_original")]
    # Twelve networks, four more granularities, 22 self-supervised, five domain-adapted.
    assert used["B"] - len(originals) == 12 + 4 + 22 + 5


def test_substitutes_are_marked() -> None:
    marked = {model.name for model in catalogue if model.note.startswith("Substitute")}
    assert marked == {f"resnet50.{tag}" for tag in GRANULARITIES_B[2:]}


@pytest.mark.parametrize("name", FROM_HUB)
def test_input_contract_is_the_one_timm_states(name: str) -> None:
    import timm

    config = timm.get_pretrained_cfg(name)
    contract = catalogue.get(name).input
    assert config is not None
    assert config.input_size == (contract.channels, contract.size, contract.size)
    assert tuple(config.mean) == contract.mean
    assert tuple(config.std) == contract.std


@pytest.mark.parametrize("name", FROM_HUB)
def test_licence_is_not_wider_than_timm_states(name: str) -> None:
    import timm

    stated = str(timm.get_pretrained_cfg(name).license)
    ours = catalogue.get(name).licence
    assert stated in {ours.lower(), "dinov3-license"} or ours.lower().replace(" ", "-").startswith(stated)


def test_normalisations_of_the_specification() -> None:
    half, unit = catalogue.get("vit_base_patch16_224.sam_in1k"), catalogue.get("resnet50.simclrv2_in1k")
    assert (half.input.mean, half.input.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (unit.input.mean, unit.input.std) == ((0.0,) * 3, (1.0,) * 3)
    radnet, xrv = catalogue.get("resnet50.simclr_radnet12m"), catalogue.get("densenet121.xrv_all")
    assert (radnet.input.value_range, radnet.input.size) == ("minmax", 256)
    assert (xrv.input.value_range, xrv.input.channels) == ("hounsfield-like", 1)


def skeleton(model: SourceModel) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return dict(build_backbone(model.architecture, model.input, 0).state_dict())


def test_swin_of_smaller_windows_gets_interpolated_tables() -> None:
    model = catalogue.get("swin_base_patch4_window7_224.simmim_in1k")
    assert model.weights is not None
    state = skeleton(model)
    file = {}
    for name, tensor in state.items():
        smaller = name.endswith("relative_position_bias_table")
        number = int(name.split(".")[1]) - 1 if ".downsample." in name else None
        published = name if number is None else f"layers.{number}.downsample.{name.split('.downsample.')[1]}"
        file[f"encoder.{published}"] = torch.empty(121, tensor.shape[1]) if smaller else tensor
    audit = match_keys(state, file, model.weights)
    assert audit.problems(model.name) == []
    assert len(audit.adapted) == 24
    assert set(audit.adapted.values()) == {
        f"table of relative positions interpolated, (121, {heads}) to (169, {heads})"
        for heads in (4, 8, 16, 32)
    }


def test_moco_v3_small_has_twelve_heads() -> None:
    small = catalogue.get("vit_small_patch16_224.mocov3_in1k")
    with torch.device("meta"):
        network = build_backbone(small.architecture, small.input, 0)
        usual = build_backbone(resolve_model("vit_small_patch16_224.random").architecture, small.input, 0)
    assert (network.blocks[0].attn.num_heads, usual.blocks[0].attn.num_heads) == (12, 6)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in usual.state_dict().items()}


def test_parts_of_the_network_itself_cannot_be_dropped() -> None:
    from medtransfer.models.source_model import WeightsFile

    state = skeleton(resolve_model("resnet50.random"))
    deeper = {**state, "layer3.6.conv1.weight": torch.empty(2)}
    audit = match_keys(state, deeper, WeightsFile(drop=("layer3",)))
    assert audit.unmatched == ("layer3.6.conv1.weight",)
    assert "another depth" in audit.problems("m")[0].next_step
