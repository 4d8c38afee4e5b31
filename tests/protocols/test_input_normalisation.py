"""Inputs normalised as asked: the numbers are numpy's, and they reach the network of every protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.input_transform import InputTransform
from medtransfer.models.network import build_encoder
from medtransfer.models.source_model import InputContract
from medtransfer.protocols import fit_finetune, input_normalisation
from medtransfer.protocols.bench_features import bench_features
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.input_normalisation import normalised_model, pixel_moments
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from tests.training.drawn_cases import DrawnSource, drawn_labels, drawn_masks

SIDE = 32
"""Of the cache of networks that see 28 pixels."""
ONE_CHANNEL = InputContract(size=28, channels=1, mean=(0.5,), std=(0.5,))


def bench_of(cases: CaseTable, folder: Path, contract: InputContract | None = None) -> Bench:
    model = resolve_model("resnet20.random")
    if contract is not None:
        model = replace(model, input=contract)
    metric = "auc" if cases.kind.is_classification else "dice"
    return Bench("drawn", cases, model, None, folder, metric)


def coloured(cases: CaseTable) -> CaseTable:
    """Return the cases in three channels that differ."""
    assert isinstance(cases.source, DrawnSource)
    tint = np.array([1.0, 0.6, 0.3])
    arrays = {
        name: (values[..., None] * tint).astype(np.uint8) if name.startswith("i") else values
        for name, values in cases.source.arrays.items()
    }
    return replace(cases, source=DrawnSource(arrays))


def fit(settings: Any, bench: Bench, rows: np.ndarray | None = None) -> Transfer:
    train = bench.cases.indices("train") if rows is None else rows
    (transfer,) = settings.fit(bench, [TransferRequest(1.0, 0, train, 1)])
    return transfer


def expected_moments(bench: Bench, side: int) -> tuple[np.ndarray, np.ndarray]:
    images = open_decoded_cache(bench.cases, side, bench.cache_folder).images
    values = images[bench.cases.indices("train")] / 255
    return values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2))


PROTOCOLS: dict[str, Callable[..., Any]] = {
    "finetune": lambda **changes: Finetune(image_size=28, epochs=1, augmentation="none", **changes),
    "linear": lambda **changes: Linear(image_size=28, **changes),
    "knn": lambda **changes: Knn(image_size=28, ks=(1,), **changes),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_study_s_own_mean_and_std_are_those_of_its_training_images(name: str, tmp_path: Path) -> None:
    bench = bench_of(drawn_labels(), tmp_path)
    plain = fit(PROTOCOLS[name](), bench)
    found = fit(PROTOCOLS[name](normalization="study"), bench)
    mean, std = expected_moments(bench, SIDE)
    used = found.details["normalization"]
    assert used["rule"] == "study"
    assert used["value_range"] == "unit"
    assert used["mean"] == pytest.approx(np.repeat(mean, 3), rel=1e-12)
    assert used["std"] == pytest.approx(np.repeat(std, 3), rel=1e-9)
    assert "normalization" not in plain.details
    everything = open_decoded_cache(bench.cases, SIDE, tmp_path).images / 255
    assert used["mean"][0] != pytest.approx(everything.mean(), rel=1e-6)


@pytest.mark.parametrize("name", ["finetune", "linear"])
def test_it_reaches_the_network(name: str, tmp_path: Path) -> None:
    """Scores change; of knn they may not, because a random network's neighbours are much the same."""
    bench = bench_of(drawn_labels(), tmp_path)
    plain, found = fit(PROTOCOLS[name](), bench), fit(PROTOCOLS[name](normalization="study"), bench)
    first, second = (each.predictions["best"]["test"].scores for each in (plain, found))
    assert not np.allclose(first, second, atol=1e-6)


def test_embeddings_are_those_of_images_normalised_by_hand(tmp_path: Path) -> None:
    bench = bench_of(coloured(drawn_labels()), tmp_path)
    changed = replace(bench, model=normalised_model(Linear(image_size=28, normalization="study"), bench))
    mean, std = expected_moments(bench, SIDE)
    whole = open_decoded_cache(bench.cases, SIDE, tmp_path).images[:, 2:30, 2:30]
    seed = seed_from("frozen encoder", bench.model.name)
    encoder = build_encoder(bench.model, weights_folder=None, seed=seed, image_size=28)
    by_hand = torch.from_numpy(((whole / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        expected = encoder(by_hand).numpy()
    np.testing.assert_allclose(bench_features(changed, 28), expected, rtol=1e-3, atol=1e-4)
    assert not np.allclose(bench_features(bench, 28), expected, atol=1e-2)


def test_masks_of_both_protocols_take_it(tmp_path: Path) -> None:
    bench = bench_of(drawn_masks(), tmp_path)
    linear = Linear(image_size=32, epochs=1, decoder_channels=(8, 8), normalization="study")
    finetune = Finetune(image_size=32, epochs=1, decoder_channels=(8, 8), normalization="study")
    mean, std = expected_moments(bench, 32)
    for settings in (linear, finetune):
        used = fit(settings, bench).details["normalization"]
        assert used["mean"] == pytest.approx(np.repeat(mean, 3))
        assert used["std"] == pytest.approx(np.repeat(std, 3))


@pytest.mark.parametrize(
    ("rule", "mean", "std", "value_range"),
    [
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], "unit"),
        ("chest-xray", [0.5056] * 3, [0.252] * 3, "unit"),
        ("minmax", [0.0] * 3, [1.0] * 3, "minmax"),
    ],
)
def test_fixed_numbers(
    rule: str, mean: list[float], std: list[float], value_range: str, tmp_path: Path
) -> None:
    half = InputContract(size=28, mean=(0.5,) * 3, std=(0.5,) * 3)
    bench = bench_of(drawn_labels(), tmp_path, half)
    used = fit(Linear(image_size=28, normalization=rule), bench).details["normalization"]
    assert used == {"rule": rule, "mean": mean, "std": std, "value_range": value_range}
    contract = normalised_model(Linear(normalization=rule), bench).input
    assert (contract.size, contract.channels) == (28, 3)


def test_colours_are_measured_as_a_network_of_one_channel_sees_them(tmp_path: Path) -> None:
    bench = bench_of(coloured(drawn_labels()), tmp_path, ONE_CHANNEL)
    contract = normalised_model(Knn(image_size=28, normalization="study"), bench).input
    train = open_decoded_cache(bench.cases, SIDE, tmp_path).images[bench.cases.indices("train")]
    unchanged = InputTransform(replace(ONE_CHANNEL, mean=(0.0,), std=(1.0,)))
    grey = unchanged(torch.from_numpy(train.transpose(0, 3, 1, 2).copy())).numpy()
    assert contract.mean == pytest.approx([grey.mean(dtype=np.float64)], rel=1e-5)
    assert contract.std == pytest.approx([grey.std(dtype=np.float64)], rel=1e-5)


def test_channels_are_measured_each_by_itself() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 5, 6, 3), dtype=np.uint8)
    rows = np.arange(3, 40)
    found = pixel_moments(images, rows)
    values = images[rows].reshape(-1, 3) / 255
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(values.T, ddof=0), rtol=1e-10, atol=1e-14)


def test_a_label_fraction_changes_nothing_and_the_images_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(drawn_labels(), tmp_path)
    settings = Linear(image_size=28, normalization="study")
    whole = fit(settings, bench)
    monkeypatch.setattr(input_normalisation, "pixel_moments", lambda *_: pytest.fail("measured again"))
    part = fit(settings, bench, bench.cases.indices("train")[:12])
    assert part.details["normalization"] == whole.details["normalization"]


def test_images_without_contrast_end_the_trial(tmp_path: Path) -> None:
    cases = drawn_labels()
    flat = DrawnSource({name: np.full((36, 36), 90, np.uint8) for name in cases.source.arrays})
    bench = bench_of(replace(cases, source=flat), tmp_path)
    with pytest.raises(TrialError, match="expected training images that vary in every channel") as caught:
        fit(Knn(image_size=28, normalization="study"), bench)
    assert caught.value.reason == "constant_images"


def test_colour_numbers_are_refused_for_a_network_of_one_channel(tmp_path: Path) -> None:
    bench = bench_of(drawn_labels(), tmp_path, ONE_CHANNEL)
    with pytest.raises(UsageError, match="expected a network of 3 channels, got 'resnet20"):
        fit(Knn(image_size=28, normalization="imagenet"), bench)


def test_a_failure_comes_with_the_first_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for transfers must not fail, so that a trial and not its whole job does."""
    bench = bench_of(drawn_labels(), tmp_path, ONE_CHANNEL)
    monkeypatch.setattr(fit_finetune, "fit_network", lambda *_, **__: pytest.fail("trained"))
    request = TransferRequest(1.0, 0, bench.cases.indices("train"), 1)
    transfers = Finetune(image_size=28, normalization="imagenet").fit(bench, [request])
    with pytest.raises(UsageError):
        next(transfers)


@pytest.mark.parametrize("protocol", [Finetune, Linear, Knn])
def test_only_another_normalisation_enters_the_settings(protocol: Any) -> None:
    kinds = [kind for kind in TaskKind if protocol.supports(kind)]
    for kind in kinds:
        plain = protocol().settings(kind)
        assert "normalization" not in plain
        assert protocol(normalization="model").settings(kind) == plain
        assert protocol(normalization="study").settings(kind) == plain | {"normalization": "study"}
    with pytest.raises(ValidationError):
        protocol(normalization="whitening")
