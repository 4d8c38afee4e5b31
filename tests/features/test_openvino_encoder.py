"""Another engine: the same embeddings as torch, or an error that says what to do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.features.embedding import extract_embeddings
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import build_encoder
from tests.features.test_embedding import SIZE, cache

openvino = pytest.importorskip("openvino", reason="OpenVINO is an extra and is not installed")


@pytest.mark.parametrize(
    "name", ["resnet20.random", "mobilenetv1_100.random", "timm/vit_tiny_patch16_224.random"]
)
def test_embeddings_are_those_of_torch(name: str) -> None:
    encoder = build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=32)
    images = cache()
    usual = extract_embeddings(encoder, images, size=32, batch_size=4)
    other = extract_embeddings(encoder, images, size=32, batch_size=4, engine="openvino")
    assert other == pytest.approx(usual, abs=2e-5)
    assert other.dtype == np.float32


def test_an_engine_that_disagrees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=0, image_size=SIZE)
    original = openvino.convert_model

    def of_other_weights(network: torch.nn.Module, **options: object) -> object:
        other = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=9, image_size=SIZE)
        return original(other.eval(), **options)

    monkeypatch.setattr(openvino, "convert_model", of_other_weights)
    with pytest.raises(TrialError, match=r"within 0\.0001 of torch's, got a difference") as raised:
        extract_embeddings(encoder, cache(), size=SIZE, engine="openvino")
    assert raised.value.reason == "engine_disagrees"


def test_a_network_it_cannot_run_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise openvino.frontend.OpConversionFailure("no such operation\nmore")

    monkeypatch.setattr(openvino, "convert_model", refuse)
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=0, image_size=SIZE)
    with pytest.raises(TrialError, match=r"got 'no such operation'\. Leave"):
        extract_embeddings(encoder, cache(), size=SIZE, engine="openvino")


def test_nothing_is_reported_over_the_network() -> None:
    program = (
        "import sys, numpy as np\n"
        "from medtransfer.features.openvino_encoder import compile_encoder\n"
        "from medtransfer.models.catalogue import resolve_model\n"
        "from medtransfer.models.network import build_encoder\n"
        "network = build_encoder(resolve_model('resnet20.random'), weights_folder=None, seed=0, image_size=32)\n"
        "compile_encoder(network.eval(), np.zeros((2, 1, 32, 32), np.uint8))\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "found = [name for name in sys.modules if name.startswith('openvino_telemetry.')]\n"
        "print(telemetry_utils.tm.__name__, found)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "openvino.tools.ovc.telemetry_stub []"


def test_it_is_for_the_cpu() -> None:
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=0, image_size=SIZE)
    with pytest.raises(UsageError, match="expected the device 'cpu', got 'meta'"):
        extract_embeddings(encoder, cache(), size=SIZE, device="meta", engine="openvino")
