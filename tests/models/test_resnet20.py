"""The padded shortcut network against its definition."""

from __future__ import annotations

import torch

from medtransfer.models.architectures.resnet20 import PaddedShortcutBlock, ResNet20


def test_it_has_the_published_number_of_parameters() -> None:
    backbone = sum(parameter.numel() for parameter in ResNet20().parameters())
    assert backbone + 64 * 10 + 10 == 269_722  # 0.27 million in table 6 of He et al.


def test_shortcut_subsamples_and_pads_with_zero_channels() -> None:
    block = PaddedShortcutBlock(2, 6, stride=2).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    maps = torch.rand(1, 2, 8, 8)
    out = block(maps)
    assert torch.equal(out[:, 2:4], maps[:, :, ::2, ::2])
    assert not out[:, :2].any()
    assert not out[:, 4:].any()


def test_embedding_is_the_mean_of_the_last_maps() -> None:
    network = ResNet20().eval()
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        maps = torch.relu(network.bn1(network.conv1(images)))
        maps = network.layer3(network.layer2(network.layer1(maps)))
        assert maps.shape == (3, 64, 8, 8)
        torch.testing.assert_close(network(images), maps.mean(dim=(2, 3)))
