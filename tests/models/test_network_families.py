"""Networks of every family: embeddings, pyramids, seeds, sizes and decoders."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import nn

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.models import network
from medtransfer.models.backbones import TORCHVISION_HEADS, build_backbone, end_network_at
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.heads import Classifier, UNet
from medtransfer.models.layer_groups import layer_groups
from medtransfer.models.library_names import library_names
from medtransfer.models.network import Encoder, build_encoder, state_hash
from medtransfer.models.source_model import Architecture, InputContract
from medtransfer.models.upernet import UPerNet

CONVOLUTIONAL = {
    "resnet18.random": (512, [2, 4, 8, 16, 32], (64, 64, 128, 256, 512)),
    "torchvision/resnet18.random": (512, [2, 4, 8, 16, 32], (64, 64, 128, 256, 512)),
    "seresnext26d_32x4d.random": (2048, [2, 4, 8, 16, 32], (64, 256, 512, 1024, 2048)),
    "mobilenetv3_small_050.random": (1024, [2, 4, 8, 16, 32], (16, 8, 16, 24, 288)),
    "torchvision/mobilenet_v3_small.random": (576, [2, 4, 8, 16, 32], (16, 16, 24, 48, 576)),
    "convnext_atto.random": (320, [4, 8, 16, 32], (40, 80, 160, 320)),
    "torchvision/shufflenet_v2_x0_5.random": (1024, [2, 4, 8, 16, 32], (24, 24, 48, 96, 1024)),
    "torchvision/densenet121.random": (1024, [2, 4, 8, 16, 32], (64, 256, 512, 1024, 1024)),
    "mobilenetv1_100.random": (1024, [2, 4, 8, 16, 32], (64, 128, 256, 512, 1024)),
    "resnet20.random": (64, [2, 4], (32, 64)),
}

FAMILIES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "resnet": ("resnet18", 64, {}),
    "densenet": ("densenet121", 64, {"block_config": (2, 2, 2, 2)}),
    "convnext": ("convnext_atto", 64, {}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        64,
        {"embed_dim": 24, "depths": (2, 2, 2, 2), "drop_path_rate": 0.0},
    ),
    "deit": ("deit_tiny_patch16_224", 64, {"depth": 4}),
    "vit-patch14": ("vit_small_patch14_dinov2", 56, {"depth": 5, "embed_dim": 48, "num_heads": 3}),
    "mobilenet": ("mobilenetv1_100", 64, {}),
    "mobilenetv3": ("mobilenetv3_small_050", 64, {}),
    "squeezenet": ("squeezenet1_1", 64, {}),
    "efficientnet": ("efficientnet_lite0", 64, {"drop_path_rate": 0.0}),
    "hiera": ("hiera_tiny_224", 224, {"embed_dim": 24, "stages": (1, 1, 1, 1), "drop_path_rate": 0.0}),
    "torchvision-vit": ("torchvision/vit_b_32", 64, {}),
    "gated-vit": ("vit_huge_patch14_gated", 56, {"depth": 4, "embed_dim": 48, "num_heads": 3}),
    "siglip": ("vit_so400m_patch14_siglip_448", 56, {"depth": 4, "embed_dim": 48, "num_heads": 3}),
}
"""Family to a small member: architecture, side of the images, options that make it smaller still."""


def family_member(family: str) -> Encoder:
    name, side, options = FAMILIES[family]
    model = resolve_model(f"{name}.random")
    smaller = replace(
        model.architecture, options=tuple({**dict(model.architecture.options), **options}.items())
    )
    return build_encoder(replace(model, architecture=smaller), weights_folder=None, seed=1, image_size=side)


def encoder_of(name: str, seed: int = 0, image_size: int | None = None) -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=seed, image_size=image_size)


def noise(side: int, count: int = 2) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


@pytest.fixture(scope="module")
def small() -> Encoder:
    return encoder_of("resnet20.random")


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional_family(name: str) -> None:
    features, strides, channels = CONVOLUTIONAL[name]
    encoder = encoder_of(name)
    images = noise(64)
    with torch.no_grad():
        assert encoder(images).shape == (2, features)
        maps = encoder.pyramid(images)
    assert encoder.embedding_size == features
    assert encoder.pyramid_channels == channels == tuple(found.shape[1] for found in maps)
    assert [64 / found.shape[-1] for found in maps] == strides
    assert [level.stride for level in encoder.levels] == strides


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["labels", "unet", "upernet"])
def test_every_family_takes_a_training_step(family: str, task: Literal["labels", "unet", "upernet"]) -> None:
    encoder = family_member(family)
    side = encoder.image_size
    images = noise(side, count=4)
    outputs = encoder(images)
    assert outputs.shape == (4, encoder.embedding_size)
    assert torch.isfinite(outputs).all()
    if task == "labels":
        trained: nn.Module = Classifier(encoder, 3, seed=2)
        target = torch.tensor([0, 1, 2, 0])
    else:
        trained = build_segmenter(task, encoder, 3, image_size=side, seed=2)
        target = images[:, 0].long() // 86
        logits = trained.eval()(images)
        assert logits.shape == (4, 3, side, side)
        assert logits.std(dim=(2, 3)).min() > 0
    before, after = losses_around_a_step(trained, images, target)
    assert after < before


def losses_around_a_step(
    trained: nn.Module, images: torch.Tensor, target: torch.Tensor
) -> tuple[float, float]:
    """Return the loss before and after a short step along the gradient, which every group must have."""
    for module in trained.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    loss = nn.functional.cross_entropy(trained.train()(images), target)
    loss.backward()
    parameters = dict(trained.named_parameters())
    groups = layer_groups(trained.encoder)  # type: ignore[arg-type]
    idle = [
        group.name
        for group in groups
        if not any(parameters[f"encoder.{name}"].grad is not None for name in group.parameters)
    ]
    assert set(idle) <= {groups[-1].name}, "at most a last normalisation, which no feature map passes"
    assert not [n for n, p in parameters.items() if not n.startswith("encoder.") and p.grad is None]
    gradients = {p: p.grad for p in parameters.values() if p.grad is not None}
    norm = torch.nn.utils.get_total_norm(gradients.values())
    with torch.no_grad():
        for parameter, gradient in gradients.items():
            parameter.sub_(0.01 * gradient / norm)
        return float(loss), float(nn.functional.cross_entropy(trained(images), target))


def test_levels_of_a_residual_network_are_the_ends_of_its_stages() -> None:
    levels = [level.module for level in encoder_of("torchvision/resnet18.random").levels]
    assert levels == ["relu", "layer1", "layer2", "layer3", "layer4"]


def test_pyramid_holds_what_the_stages_put_out() -> None:
    encoder = encoder_of("torchvision/resnet18.random")
    network = encoder.backbone
    values = encoder.input_transform(noise(64))
    with torch.no_grad():
        stem = network.relu(network.bn1(network.conv1(values)))  # type: ignore[operator]
        expected = [stem, network.layer1(network.maxpool(stem))]  # type: ignore[operator]
        expected += [network.layer2(expected[-1])]  # type: ignore[operator]
        found = encoder.pyramid(noise(64))
    for ours, theirs in zip(found, expected, strict=False):
        torch.testing.assert_close(ours, theirs)


def test_swin_maps_come_channels_first_with_every_stage() -> None:
    encoder = encoder_of("swin_tiny_patch4_window7_224.random", image_size=64)
    with torch.no_grad():
        shapes = [tuple(found.shape) for found in encoder.pyramid(noise(64))]
    assert shapes == [(2, 96, 16, 16), (2, 192, 8, 8), (2, 384, 4, 4), (2, 768, 2, 2)]


def test_swin_keeps_its_trained_windows_at_another_size() -> None:
    native = encoder_of("swin_tiny_patch4_window7_224.random").backbone.state_dict()
    adapted = encoder_of("swin_tiny_patch4_window7_224.random", image_size=160).backbone.state_dict()
    tables = [name for name in native if name.endswith("relative_position_bias_table")]
    assert tables
    assert all(torch.equal(native[name], adapted[name]) for name in tables)


def test_plain_transformer_embeds_and_has_maps_at_another_size() -> None:
    encoder = encoder_of("vit_tiny_patch16_224.random", image_size=64)
    assert encoder(noise(64)).shape == (2, 192)
    shapes = [tuple(found.shape) for found in encoder.pyramid(noise(64))]
    assert shapes == [(2, 192, side, side) for side in (16, 8, 4, 2)]
    assert encoder.pyramid_channels == (192,) * 4
    assert encoder.image_size == 64


def test_network_without_feature_maps_embeds_and_refuses_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_token_pyramid", lambda *_: None)
    encoder = encoder_of("timm/test_vit.random", image_size=64)
    assert encoder(noise(64)).shape == (2, 64)
    for segmenter in (UNet, UPerNet):
        with pytest.raises(UsageError, match="feature maps of several resolutions"):
            segmenter(encoder, 1, image_size=64, seed=0)
    with pytest.raises(UsageError, match="feature maps"):
        encoder.pyramid(noise(64))


def test_a_network_that_chooses_its_own_windows_is_adapted() -> None:
    encoder = encoder_of("maxvit_rmlp_pico_rw_256.random", image_size=64)
    assert encoder(noise(64)).shape == (2, encoder.embedding_size)


def test_a_network_that_cannot_be_adapted_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="expected images of 224 pixels, got 64"):
        encoder_of("xcit_nano_12_p16_224.random", image_size=64)


def test_transformer_refuses_a_size_its_patches_do_not_tile() -> None:
    with pytest.raises(
        UsageError, match=r"multiple of its patches of 16 pixels, got 70\. Set image_size to 64"
    ):
        encoder_of("vit_tiny_patch16_224.random", image_size=70)


def test_global_convolution_networks_pool_their_features() -> None:
    encoder = encoder_of("squeezenet1_1.random")
    images = noise(64)
    with torch.no_grad():
        maps = encoder.backbone.features(encoder.input_transform(images))  # type: ignore[operator]
        torch.testing.assert_close(encoder(images), maps.mean(dim=(2, 3)))


@pytest.mark.parametrize("side", [63, 75, 100])
def test_decoder_returns_logits_at_any_input_size(side: int) -> None:
    network = UNet(encoder_of("squeezenet1_1.random"), 3, image_size=side, seed=1).eval()
    with torch.no_grad():
        assert network(noise(side)).shape == (2, 3, side, side)
        assert network(noise(side)[:, :, :, : side - 8]).shape == (2, 3, side, side - 8)


def test_every_decoder_weight_gets_a_gradient(small: Encoder) -> None:
    network = UNet(small, 2, image_size=32, seed=1).train()
    network(noise(32)).square().mean().backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]
    small.eval()


def test_decoder_channels_must_match_the_levels(small: Encoder) -> None:
    assert UNet(small, 1, image_size=32, decoder_channels=(12, 8), seed=0).head.in_channels == 8
    with pytest.raises(UsageError, match="expected 2 decoder channels"):
        UNet(small, 1, image_size=32, decoder_channels=(12, 8, 4), seed=0)


def test_images_that_are_too_small_are_refused_when_the_network_is_built() -> None:
    with pytest.raises(UsageError, match="expected to take images of 4 pixels"):
        encoder_of("squeezenet1_1.random", image_size=4)
    with pytest.raises(UsageError, match="got 4 pixels"):
        UNet(encoder_of("squeezenet1_1.random"), 1, image_size=4, seed=0)


@pytest.mark.parametrize(
    "name", ["resnet20.random", "mobilenetv3_small_050.random", "torchvision/resnet18.random"]
)
def test_random_weights_depend_on_the_seed_alone(name: str) -> None:
    torch.manual_seed(1)
    first = state_hash(encoder_of(name, seed=7))
    torch.rand(5)
    assert state_hash(encoder_of(name, seed=7)) == first
    assert state_hash(encoder_of(name, seed=8)) != first


def test_nothing_built_here_touches_the_global_random_state(small: Encoder) -> None:
    before = torch.random.get_rng_state()
    encoder = encoder_of("resnet20.random", seed=3)
    Classifier(encoder, 2, seed=3)
    UNet(encoder, 2, image_size=32, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_heads_depend_on_their_seed_alone(small: Encoder) -> None:
    def hashes(seed: int) -> list[str]:
        unet = UNet(small, 2, image_size=32, seed=seed)
        return [
            state_hash(Classifier(small, 4, seed=seed).head),
            state_hash(unet.decoder),
            state_hash(unet.head),
        ]

    assert hashes(1) == hashes(1)
    assert all(one != two for one, two in zip(hashes(1), hashes(2), strict=True))


def test_linear_head_starts_as_declared() -> None:
    encoder = encoder_of("mobilenetv1_100.random")
    head = Classifier(encoder, 50, seed=0).head
    assert not head.bias.any()
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(head.weight.mean().item()) < 2e-4
    assert Classifier(encoder, 5, seed=0).eval()(noise(64)).shape == (2, 5)


def test_encoder_comes_in_evaluation_mode_and_embedding_changes_nothing(small: Encoder) -> None:
    assert not any(module.training for module in encoder_of("resnet20.random").modules())
    before = state_hash(small)
    small(noise(32))
    small.pyramid(noise(32))
    UNet(small, 1, image_size=32, seed=0)
    assert state_hash(small) == before


def test_building_a_decoder_keeps_the_training_mode(small: Encoder) -> None:
    small.train()
    UNet(small, 1, image_size=32, seed=0)
    assert small.training
    small.eval()


def test_no_hook_is_left_behind(small: Encoder) -> None:
    small.pyramid(noise(32))
    with pytest.raises(RuntimeError):
        small.pyramid(torch.zeros(1, 3, 0, 0))
    assert not [module for module in small.modules() if module._forward_hooks]


def test_encoder_survives_copies_and_other_processes(small: Encoder) -> None:
    images = noise(32)
    for twin in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert torch.equal(twin(images), small(images))
        assert torch.equal(twin.pyramid(images)[1], small.pyramid(images)[1])


def test_grey_networks_are_built_by_every_library() -> None:
    contract = InputContract(channels=1, mean=(0.5,), std=(0.2,))
    for library, builder in (("timm", "resnet18"), ("torchvision", "resnet18")):
        network = build_backbone(Architecture("n", library, builder), contract, 0)  # type: ignore[arg-type]
        assert network.get_parameter("conv1.weight").shape[1] == 1
        assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 512)
    own = build_backbone(resolve_model("resnet20.random").architecture, contract, 0)
    assert own.get_parameter("conv1.weight").shape[1] == 1


def test_trunk_removes_what_comes_later_and_keeps_pooling() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.stages = nn.Sequential(
                nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), nn.Sequential(nn.Conv2d(4, 9, 1))
            )
            self.norm = nn.BatchNorm2d(9, affine=False)
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.pool(self.norm(self.stages(self.stem(images))))
            return maps

    network = Network()
    end_network_at(network, "stages.0.0")
    assert set(network.state_dict()) == {"stem.weight", "stem.bias", "stages.0.0.weight", "stages.0.0.bias"}
    images = torch.rand(2, 3, 5, 5)
    expected = network.stages[0][0](network.stem(images)).mean(dim=(2, 3))  # type: ignore[index]
    torch.testing.assert_close(network(images), expected)
    with pytest.raises(UsageError, match="at 'nowhere'"):
        end_network_at(network, "stages.nowhere")


def test_trunk_holds_for_random_and_pretrained_alike() -> None:
    encoder = encoder_of("mobilenetv1_100.random")
    assert not [
        name for name in encoder.backbone.state_dict() if name.startswith(("blocks.4.1", "classifier"))
    ]


def test_every_torchvision_classifier_has_a_known_head_or_is_refused() -> None:
    for builder in sorted(library_names("torchvision")):
        if builder.startswith(("googlenet", "inception", "maxvit", "mvit", "s3d", "r3d", "mc3", "r2plus1d")):
            with pytest.raises(UsageError, match="whose head is known"):
                build_backbone(Architecture(builder, "torchvision", builder), InputContract(), 0)
        else:
            assert builder.startswith(tuple(TORCHVISION_HEADS)), builder


def test_library_without_the_network_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="timm to build 'resnet18' with"):
        build_backbone(Architecture("x", "timm", "resnet18", options=(("depth", 3),)), InputContract(), 0)
    with pytest.raises(UsageError, match="torchvision cannot build it"):
        build_backbone(
            Architecture("x", "torchvision", "resnet18", options=(("depth", 3),)), InputContract(), 0
        )
    with pytest.raises(NotRegisteredError):
        resolve_model("resnet1818.random")


def test_random_library_model_takes_the_input_contract_of_its_library() -> None:
    encoder = encoder_of("vit_tiny_patch16_384.random", image_size=32)
    assert encoder.input.size == 384
    assert encoder.input.mean == (0.5, 0.5, 0.5)
