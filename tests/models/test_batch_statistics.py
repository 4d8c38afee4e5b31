"""Statistics of frozen batch normalisation move when asked to, and no weight does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medtransfer.core.errors import UsageError
from medtransfer.models.batch_statistics import adapt_statistics
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.layer_groups import layer_groups, train_last
from medtransfer.models.network import Encoder, build_encoder


def encoder_of(name: str = "resnet20.random") -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=1, image_size=64)


def moved_by_a_batch(encoder: Encoder) -> set[str]:
    """The names of all that a pass in training mode changes."""
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    encoder.train()(images)
    return {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}


def test_every_frozen_layer_adapts_and_only_its_statistics() -> None:
    encoder = encoder_of()
    train_last(encoder, 0)
    assert moved_by_a_batch(encoder) == set()
    assert adapt_statistics(encoder) == 19
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    expected = {name for name in encoder.state_dict() if name.endswith(statistics)}
    assert len(expected) == 3 * 19
    assert moved_by_a_batch(encoder) == expected
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_evaluation_mode_uses_what_the_statistics_have_become() -> None:
    encoder = encoder_of()
    train_last(encoder.train(), 0)
    adapt_statistics(encoder)
    assert encoder.get_submodule("backbone.bn1").training
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    before: Tensor = encoder.eval()(images)
    assert not any(module.training for module in encoder.modules())
    moved_by_a_batch(encoder)
    after: Tensor = encoder.eval()(images)
    assert not torch.allclose(before, after)
    assert torch.equal(after, encoder(images))


def test_what_cannot_adapt_is_refused() -> None:
    transformer = encoder_of("timm/test_vit.random")
    train_last(transformer, 0)
    with pytest.raises(UsageError, match=r"'timm/test_vit\.random': expected frozen batch normalisation"):
        adapt_statistics(transformer)
    encoder = encoder_of()
    train_last(encoder, len(layer_groups(encoder)))
    with pytest.raises(UsageError, match="train fewer layer groups"):
        adapt_statistics(encoder)
