"""The real weights files: whole, in the right network, and better than chance at what they learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional

from medtransfer.core.errors import WeightsError
from medtransfer.models.architectures.resnet20 import PaddedShortcutBlock
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.check import check_model
from medtransfer.models.heads import UNet
from medtransfer.models.network import build_encoder, state_hash
from medtransfer.models.source_model import InputContract, SourceModel

pytestmark = pytest.mark.real

COUNTS = {
    "mobilenetv1_100.sup_in1k": {"loaded": 125, "gaps": 12, "counters": 25, "dropped": 0},
    "resnet20.sup_cifar10": {"loaded": 95, "gaps": 0, "counters": 19, "dropped": 2},
    "squeezenet1_1.sup_in1k": {"loaded": 50, "gaps": 0, "counters": 0, "dropped": 0},
}
PRETRAINED = [catalogue.get(name) for name in sorted(COUNTS)]
EMBEDDING_SIZES = {"mobilenetv1_100": 1024, "resnet20": 64, "squeezenet1_1": 512}


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    return shared_data / "weights"


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_check_accounts_for_every_tensor(model: SourceModel, shared_data: Path) -> None:
    checked = check_model(model.name, shared_data)
    assert checked.problems == ()
    assert checked.share == 1.0
    assert model.weights is not None
    assert checked.weights == model.weights.sha256
    assert checked.embedding_size == EMBEDDING_SIZES[model.architecture.name]
    nothing = {"unmatched": 0, "missing": 0, "mismatched": 0, "ignored": 0, "adapted": 0}
    assert checked.counts == COUNTS[model.name] | nothing


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_pretrained_network_does_not_depend_on_the_seed(model: SourceModel, weights: Path) -> None:
    first = state_hash(build_encoder(model, weights_folder=weights, seed=1))
    assert state_hash(build_encoder(model, weights_folder=weights, seed=2)) == first
    twin = resolve_model(f"{model.architecture.name}.random")
    assert state_hash(build_encoder(twin, weights_folder=None, seed=1)) != first


def test_every_number_of_mobilenet_is_the_one_in_the_file(weights: Path) -> None:
    model = catalogue.get("mobilenetv1_100.sup_in1k")
    file = load_file(weights / str(model.weights and model.weights.file))
    state = build_encoder(model, weights_folder=weights, seed=0).backbone.state_dict()
    used = {name for name in state if not name.endswith("num_batches_tracked")}
    assert used == set(file)
    assert all(torch.equal(state[name], file[name].float()) for name in used)


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_one_altered_byte_is_refused(model: SourceModel, weights: Path, tmp_path: Path) -> None:
    assert model.weights is not None
    name = str(model.weights.file)
    content = bytearray((weights / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        build_encoder(model, weights_folder=tmp_path, seed=0)


@pytest.mark.parametrize("architecture", ["resnet20", "mobilenetv1_100", "timm/resnet18"])
def test_squeezenet_weights_fit_no_other_network(architecture: str, weights: Path) -> None:
    path = weights / "squeezenet1_1_in1k_features.pth"
    model = resolve_model(f"file:{path}?arch={architecture}")
    with pytest.raises(WeightsError, match="another architecture"):
        build_encoder(model, weights_folder=None, seed=0)


def pictures(shared_data: Path, side: int) -> torch.Tensor:
    """Return CT slices, fundus photographs and chest X-rays, uint8 of shape (N, 3, side, side)."""
    paths = [
        *sorted((shared_data / "covid_ct" / "Images-processed").rglob("*.png"))[:10],
        *sorted((shared_data / "drive" / "DRIVE" / "training" / "images").glob("*.tif"))[:10],
        *sorted((shared_data / "cxr_covid_seg").rglob("*.jpg"))[:10],
    ]
    arrays = [np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in paths]
    return torch.from_numpy(np.stack(arrays).transpose(0, 3, 1, 2))


def statistics_gap(model: SourceModel, weights: Path, images: torch.Tensor) -> float:
    """Return how far activations are from the batch statistics of the training: mean |log variance ratio|."""
    encoder = build_encoder(model, weights_folder=weights, seed=0)
    gaps: list[float] = []

    def compare(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert norm.running_var is not None
        ratio = (inputs[0].var((0, 2, 3)) + norm.eps) / (norm.running_var + norm.eps)
        gaps.append(ratio.log().abs().mean().item())

    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(compare)
    with torch.no_grad():
        encoder(images)
    return float(np.mean(gaps))


def test_mobilenet_runs_as_it_was_trained(weights: Path, shared_data: Path) -> None:
    """Its statistics fit real images best with the padding, epsilon and normalisation of its entry."""
    model = catalogue.get("mobilenetv1_100.sup_in1k")
    images = pictures(shared_data, 128)
    ours = statistics_gap(model, weights, images)
    wrong = [replace(model, input=InputContract(size=224))]
    wrong += [
        replace(model, architecture=replace(model.architecture, options=options))
        for options in ((), (("pad_type", "same"),))
    ]
    assert ours < 0.35
    assert all(statistics_gap(other, weights, images) > ours for other in wrong)


def test_cifar_network_runs_as_it_was_trained(
    weights: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its statistics fit real images only when the shortcut pads channels on both sides."""
    model = catalogue.get("resnet20.sup_cifar10")
    images = pictures(shared_data, 32)
    ours = statistics_gap(model, weights, images)
    assert ours < 0.35

    def padded_at_the_end(block: PaddedShortcutBlock, maps: torch.Tensor) -> torch.Tensor:
        maps = maps[:, :, :: block.stride, :: block.stride]
        return functional.pad(maps, (0, 0, 0, 0, 0, block.added))

    monkeypatch.setattr(PaddedShortcutBlock, "_shortcut", padded_at_the_end)
    assert statistics_gap(model, weights, images) > 1.5 * ours


@pytest.mark.parametrize("architecture", ["mobilenetv1_100", "squeezenet1_1"])
def test_pretrained_embedding_tells_lungs_from_vessels(architecture: str, shared_data: Path) -> None:
    """Patches of chest X-rays and of fundus photographs in grey: linear separation must be easy."""
    encoder = build_encoder(
        next(model for model in PRETRAINED if model.architecture.name == architecture),
        weights_folder=shared_data,
        seed=0,
    )
    files = {
        0: sorted((shared_data / "drive" / "DRIVE" / "training" / "images").glob("*.tif"))[:12],
        1: [p for p in sorted((shared_data / "cxr_covid_seg").rglob("*")) if p.suffix in {".jpg", ".jpeg"}][
            :12
        ],
    }
    pictures = [
        np.asarray(Image.open(path).convert("L").resize((96, 96)))[None]
        for paths in files.values()
        for path in paths
    ]
    labels = np.repeat([0, 1], [len(files[0]), len(files[1])])
    with torch.no_grad():
        features = encoder(torch.from_numpy(np.stack(pictures))).numpy()
    assert np.isfinite(features).all()
    scaled = StandardScaler().fit_transform(features)
    scores = cross_val_score(LogisticRegression(C=0.1, max_iter=500), scaled, labels, cv=4)
    assert scores.mean() > 0.9


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_every_real_encoder_carries_a_decoder(model: SourceModel, weights: Path) -> None:
    encoder = build_encoder(model, weights_folder=weights, seed=0)
    network = UNet(encoder, 1, image_size=65, seed=0).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 65, 65, dtype=torch.uint8)).shape == (1, 1, 65, 65)
