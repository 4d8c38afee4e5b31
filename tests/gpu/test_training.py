"""Training on a GPU: close to the CPU's, the same every time, within its memory and without waiting."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from medtransfer.core.errors import TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.augmentation import DEFAULT, NONE, STUDY_A_SEGMENTATION, Augmentation
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.heads import Classifier, UNet
from medtransfer.models.network import build_encoder
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.execution import Execution
from medtransfer.training.fit_network import FitResult, fit_network
from medtransfer.training.inference import predict_masks, predict_probabilities
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

pytestmark = [  # said by torch of what it does on GPUs, whoever asks
    pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*TensorFloat32 tensor cores:UserWarning"),
]
SIZE = 32
RECIPE = TrainingRecipe(epochs=3, learning_rate=1e-3, average_decay=0.9)


@pytest.fixture
def prepare(drawn: ModuleType, tmp_path: Path) -> Any:
    """Return cases, network, data and goal of a small problem."""

    def build(device: str, augmentation: Augmentation = DEFAULT, *, masks: bool = False) -> Any:
        cases = drawn.drawn_masks(30) if masks else drawn.drawn_labels(80)
        cache = open_decoded_cache(cases, SIZE if masks else SIZE + 4, tmp_path)
        encoder = build_encoder(
            resolve_model("resnet20.random"), weights_folder=None, seed=0, image_size=SIZE
        )
        network = (
            UNet(encoder, 1, image_size=SIZE, decoder_channels=(16, 8), seed=0)
            if masks
            else Classifier(encoder, 1, seed=0)
        )
        layout = memory_format_for(network, SIZE, torch.device(device))
        data = CachedImages(
            cache=cache,
            labels=None if masks else cases.labels(),
            train=cases.indices("train"),
            validate=cases.indices("val"),
            size=SIZE,
            augmentation=augmentation,
            batch_size=8,
            seed=1,
            memory_format=layout,
        )
        goal = build_goal(
            cases, "dice" if masks else "auc", RECIPE, masks=cache.masks, validate=data.validate
        )
        return cases, network.to(memory_format=layout), data, goal

    return build


def fit(prepared: Any, device: str, recipe: TrainingRecipe = RECIPE) -> FitResult:
    _, network, data, goal = prepared
    return fit_network(network, data, recipe, goal, seed=1, device=device)


def losses(found: FitResult) -> np.ndarray:
    return np.array([[point["train_loss"], point["val_loss"]] for point in found.curve])


@pytest.mark.parametrize("masks", [False, True])
def test_the_losses_are_close_to_those_of_the_cpu(masks: bool, prepare: Any) -> None:
    ranges = STUDY_A_SEGMENTATION if masks else DEFAULT
    expected = losses(fit(prepare("cpu", ranges, masks=masks), "cpu"))
    found = fit(prepare("cuda", ranges, masks=masks), "cuda")
    np.testing.assert_allclose(losses(found)[0], expected[0], rtol=0.02)
    np.testing.assert_allclose(losses(found), expected, rtol=0.1)
    facts = found.facts["execution"]
    assert (facts["device"], facts["views"], facts["images"]) == ("cuda", "device", "resident")
    assert (facts["tf32"], facts["compile"]) == ("off", "off")


@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
def test_the_same_device_gives_the_same_numbers(precision: str, prepare: Any) -> None:
    recipe = RECIPE.changed(precision=precision)
    first, second = (fit(prepare("cuda"), "cuda", recipe) for _ in range(2))
    assert first.curve == second.curve
    assert all(torch.equal(first.last_state[name], second.last_state[name]) for name in first.last_state)


@pytest.mark.parametrize("images", ["resident", "host"])
def test_where_images_lie_changes_no_bit(images: str, prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fit(prepare("cuda"), "cuda")
    monkeypatch.setenv(VARIABLE, f"images={images}")
    found = fit(prepare("cuda"), "cuda")
    assert found.facts["execution"]["images"] == images
    assert found.curve == expected.curve


def test_views_of_the_host_train_nearly_the_same(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = losses(fit(prepare("cuda", NONE), "cuda"))
    monkeypatch.setenv(VARIABLE, "views=host")
    np.testing.assert_allclose(losses(fit(prepare("cuda", NONE), "cuda")), expected, rtol=1e-3)


def test_memory_is_bounded_and_told(prepare: Any) -> None:
    prepared = prepare("cuda")
    data = prepared[2]
    facts = fit(prepared, "cuda").facts["execution"]
    each = data.cache.images[:1].nbytes
    assert facts["resident_bytes"] == (len(data.train) + len(data.validate)) * each
    assert facts["resident_bytes"] < facts["peak_device_bytes"] < 1 << 30


def test_an_epoch_of_steps_waits_for_nothing_but_its_end(
    prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medtransfer.training import step_losses

    _, network, data, goal = prepare("cuda")
    fit_network(network, data, RECIPE, goal, seed=1, device="cuda")  # what is only done once has been done
    look = step_losses.StepLosses._look

    def look_freely(self: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")
        look(self)
        torch.cuda.set_sync_debug_mode("error")

    monkeypatch.setattr(step_losses.StepLosses, "_look", look_freely)
    run = Execution.training_steps

    def strictly(self: Execution) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        return run(self)

    monkeypatch.setattr(Execution, "training_steps", strictly)
    monkeypatch.setattr(
        "medtransfer.training.fit_network.validate",
        lambda *given: (torch.cuda.set_sync_debug_mode(0), (0.5, 0.5))[1],
    )
    try:
        fit_network(network, data, RECIPE, goal, seed=1, device="cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_loss_that_is_not_finite_names_its_step(prepare: Any) -> None:
    _, network, data, goal = prepare("cuda")
    with pytest.raises(TrialError, match=r"got (nan|inf) at step \d+ \(epoch \d\)"):
        fit_network(
            network, data, RECIPE.changed(learning_rate=1e30, warmup_epochs=0), goal, seed=1, device="cuda"
        )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
def test_compiled_steps_train_nearly_the_same(
    precision: str, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.changed(precision=precision)
    expected = losses(fit(prepare("cuda"), "cuda", recipe))
    monkeypatch.setenv(VARIABLE, "compile=inductor")
    found = fit(prepare("cuda"), "cuda", recipe)
    assert found.facts["execution"]["compile"] == "inductor"
    np.testing.assert_allclose(losses(found), expected, rtol=0.1)


def test_predictions_are_close_to_those_of_the_cpu(prepare: Any) -> None:
    cases, network, data, _ = prepare("cuda")
    rows = np.arange(len(data.cache))
    on_gpu = predict_probabilities(network, data.evaluation(rows), TaskKind.BINARY, "cuda")
    on_cpu = predict_probabilities(network, data.evaluation(rows), TaskKind.BINARY, "cpu")
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4)
    assert len(on_gpu) == len(cases)


def test_masks_are_close_to_those_of_the_cpu(prepare: Any) -> None:
    _, network, data, _ = prepare("cuda", masks=True)
    rows = np.arange(len(data.cache))
    on_gpu = list(predict_masks(network, data.evaluation(rows), "cuda"))
    on_cpu = list(predict_masks(network, data.evaluation(rows), "cpu"))
    assert [row for row, _ in on_gpu] == [row for row, _ in on_cpu] == rows.tolist()
    for (_, one), (_, other) in zip(on_gpu, on_cpu, strict=True):
        assert one.device.type == "cpu"
        assert float((one - other).abs().max()) < 1e-3
