"""What the network will see: proven faults are problems, suspicions are remarks, and good images are neither."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from medtransfer.core.problems import Problem
from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.image_findings import FolderImage, contract_problems, stored_values
from medtransfer.models.input_check import EXAMPLES, InputCheck, check_input, seen_by_network
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.source_model import HALF, IMAGENET_MEAN, IMAGENET_STD, InputContract
from medtransfer.models.statistics_fit import StatisticsFit, other_contracts, statistics_fit

SIDE = 32
CONTRACT = InputContract(size=SIDE)


def image(
    pixels: npt.NDArray[np.uint8], values: npt.NDArray | None = None, name: str = "a.png"
) -> FolderImage:
    return FolderImage(name, pixels, stored_values(pixels if values is None else values))


def scans(count: int = 6) -> list[npt.NDArray[np.uint8]]:
    """Grey images: a bright disc on black, with noise."""
    draw = np.random.default_rng(0)
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    disc = (rows**2 + columns**2 < 150) * 150.0
    return [
        (disc + draw.normal(30, 12, disc.shape)).clip(0, 255).round().astype(np.uint8) for _ in range(count)
    ]


def photographs(count: int = 6) -> list[npt.NDArray[np.uint8]]:
    """Colour images with more red than blue, as skin and fundus have."""
    draw = np.random.default_rng(1)
    levels = np.array([170, 110, 80])
    return [
        (levels + draw.normal(0, 25, (SIDE, SIDE, 3))).clip(0, 255).round().astype(np.uint8)
        for _ in range(count)
    ]


def look(
    pixels: list[npt.NDArray[np.uint8]],
    values: list[npt.NDArray] | None = None,
    contract: InputContract = CONTRACT,
) -> InputCheck:
    pairs = zip(pixels, values or pixels, strict=True)
    return check_input("net", contract, [image(p, v, f"{i}.png") for i, (p, v) in enumerate(pairs)])


def codes(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.what for problem in problems]


@pytest.mark.parametrize("pixels", [scans(), photographs(), [*scans(3), *photographs(3)]])
def test_good_images_have_nothing_to_look_at(pixels) -> None:
    seen = look(pixels)
    assert (seen.problems, seen.remarks) == ((), ())
    assert json.loads(json.dumps(seen.as_json()))["images"] == 6


def test_what_is_seen_is_what_the_input_transform_makes() -> None:
    pixels = photographs(1)[0]
    seen = seen_by_network(pixels, CONTRACT)
    by_hand = (pixels / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(seen, by_hand.transpose(2, 0, 1), atol=1e-5)
    grey = scans(1)[0]
    assert seen_by_network(grey, CONTRACT).shape == (3, SIDE, SIDE)
    one = replace(CONTRACT, channels=1, mean=(0.0,), std=(1.0,))
    np.testing.assert_allclose(seen_by_network(grey, one)[0], grey / 255, atol=1e-6)
    wide = replace(one, value_range="hounsfield-like")
    np.testing.assert_allclose(seen_by_network(grey, wide)[0], grey / 255 * 2048 - 1024, atol=1e-3)


def test_channel_facts_are_over_all_pixels() -> None:
    pixels = photographs(3)
    facts = {channel.name: channel for channel in look(pixels).channels}
    assert list(facts) == ["red", "green", "blue"]
    red = (np.stack(pixels)[..., 0] / 255 - IMAGENET_MEAN[0]) / IMAGENET_STD[0]
    found = facts["red"]
    assert (found.mean, found.std) == pytest.approx((red.mean(), red.std()), rel=1e-4)
    assert (found.low, found.high) == pytest.approx((red.min(), red.max()), rel=1e-4)


def test_examples_are_spread_over_the_folder() -> None:
    seen = look(scans(30))
    names = [example.name for example in seen.examples]
    assert len(names) == EXAMPLES
    assert (names[0], names[-1]) == ("0.png", "29.png")


# Faults of images


def test_images_in_a_small_part_of_the_bytes() -> None:
    dark = [(pixels // 16).astype(np.uint8) for pixels in scans()]
    assert "wrong-range" in codes(look(dark).problems)
    stretched = replace(CONTRACT, value_range="minmax")
    assert "wrong-range" not in codes(look(dark, contract=stretched).problems)


def test_a_few_dark_slices_are_only_to_look_at() -> None:
    seen = look([*scans(5), (scans(1)[0] // 16).astype(np.uint8)])
    assert (codes(seen.problems), codes(seen.remarks)) == ([], ["wrong-range"])
    assert seen.remarks[0].where == "1 of 6 images (5.png)"


def test_values_that_were_normalised_before() -> None:
    floats = [((pixels / 255 - 0.485) / 0.229).astype(np.float32) for pixels in scans()]
    (problem,) = look(scans(), floats).problems
    assert problem.what == "already-normalised"
    assert problem.where.startswith("6 of 6 images (0.png, ")


def test_normalised_values_that_were_stored_as_bytes_wrap_round() -> None:
    wrapped = [np.trunc((pixels / 255 - 0.4) / 0.2).astype(np.int64).astype(np.uint8) for pixels in scans()]
    assert {int(value) for pixels in wrapped for value in np.unique(pixels)} & set(range(250, 256))
    assert "already-normalised" in codes(look(wrapped).problems)


def test_masks_and_windowed_scans_are_not_called_normalised() -> None:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[8:24, 8:24] = 255
    assert "already-normalised" not in codes(look([mask]).problems)
    blurred = cv2.resize(mask, (20, 20), interpolation=cv2.INTER_AREA)
    assert "already-normalised" not in codes(look([blurred], [mask]).problems)
    hounsfield = [(pixels * 8.0 - 1024).astype(np.float32) for pixels in scans()]
    seen = look(scans(), hounsfield)
    assert (codes(seen.problems), codes(seen.remarks)) == ([], ["stretched-values"])


def test_a_flat_image_is_named() -> None:
    pixels = [*scans(4), np.full((SIDE, SIDE), 90, dtype=np.uint8)]
    (problem,) = look(pixels).problems
    assert (problem.what, problem.where) == ("constant-image", "1 of 5 images (4.png)")


def test_images_that_cannot_be_read_are_problems_too() -> None:
    lost = Problem("unreadable-image", "b.png", "an image that can be read", "a text")
    seen = check_input("net", CONTRACT, [image(scans(1)[0])], unreadable=[lost])
    assert seen.problems == (lost,)


# Suspicions


def test_blue_for_red() -> None:
    swapped = [pixels[..., ::-1] for pixels in photographs()]
    (remark,) = look(swapped).remarks
    assert remark.what == "channels-look-swapped"
    assert "OpenCV" in remark.next_step
    assert look([*swapped[:2], *photographs(4)]).remarks == (), "a few blue images are no rule"


def test_white_for_black() -> None:
    inverted = [(255 - pixels).astype(np.uint8) for pixels in scans()]
    assert "looks-inverted" in codes(look(inverted).remarks)
    assert "looks-inverted" not in codes(look([*inverted[:3], *scans(3)]).remarks)


def test_images_far_darker_than_those_of_the_training() -> None:
    dark = [(pixels // 4).astype(np.uint8) for pixels in scans()]
    seen = look(dark, contract=InputContract(size=SIDE, mean=(0.7,) * 3, std=(0.1,) * 3))
    (remark,) = seen.remarks
    assert remark.what == "far-from-training"
    assert f"red {seen.channels[0].mean:.2f}" in remark.found


# Faults of contracts


@pytest.mark.parametrize(
    ("contract", "code"),
    [
        (InputContract(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)), "contract-range"),
        (InputContract(mean=HALF, std=(58.395, 57.12, 57.375)), "contract-range"),
        (InputContract(mean=IMAGENET_MEAN[::-1], std=IMAGENET_STD[::-1]), "contract-order"),
    ],
)
def test_a_contract_that_cannot_be_right(contract: InputContract, code: str) -> None:
    assert [problem.what for problem in contract_problems("net", contract)] == [code]


@pytest.mark.parametrize(
    "contract",
    [
        InputContract(),
        InputContract(mean=HALF, std=HALF),
        InputContract(mean=(0.0,) * 3, std=(1.0,) * 3, value_range="minmax"),
        InputContract(channels=1, mean=(0.0,), std=(1.0,), value_range="hounsfield-like"),
        InputContract(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)),
    ],
)
def test_contracts_in_use_are_right(contract: InputContract) -> None:
    assert contract_problems("net", contract) == []


def test_no_contract_of_the_catalogue_is_wrong() -> None:
    from medtransfer.models.catalogue import catalogue

    wrong = [problem for model in catalogue for problem in contract_problems(model.name, model.input)]
    assert wrong == []


# Batch statistics


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A network whose batch statistics are those of scans and photographs under the ImageNet contract."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(5)
    network = ResNet20().train()
    pixels = [*(seen_by_network(p, CONTRACT) for p in (*scans(24), *photographs(24)))]
    with torch.no_grad():
        for _ in range(60):
            network(torch.from_numpy(np.stack(pixels)))
    torch.save(network.state_dict(), folder / "w.pth")
    model = resolve_model("file:w.pth?arch=resnet20")
    return build_encoder(replace(model, input=CONTRACT), weights_folder=folder, seed=0)


def with_contract(encoder: Encoder, contract: InputContract) -> Encoder:
    other = copy.copy(encoder)
    other.input = contract
    return other


def test_the_contract_of_the_training_fits(encoder: Encoder) -> None:
    fit = statistics_fit(encoder, [*scans(12), *photographs(12)])
    assert fit is not None
    assert fit.better is None
    assert fit.declared < 0.2
    assert min(fit.others.values()) > 2 * fit.declared
    assert "ImageNet mean and std" not in fit.others, "the declared contract is no other"


@pytest.mark.parametrize(
    "wrong",
    [
        InputContract(size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3),
        InputContract(size=SIDE, mean=(0.0,) * 3, std=(1 / 255,) * 3),
        InputContract(size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3, value_range="hounsfield-like"),
    ],
    ids=["normalisation forgotten", "bytes", "wide"],
)
def test_another_range_than_that_of_the_training_is_found(encoder: Encoder, wrong: InputContract) -> None:
    pixels = [*scans(12), *photographs(12)]
    fit = statistics_fit(with_contract(encoder, wrong), pixels)
    assert fit is not None
    assert fit.better == "ImageNet mean and std"
    seen = check_input("net", wrong, [image(p) for p in pixels], fit=fit)
    (problem,) = [problem for problem in seen.problems if problem.what == "contract-does-not-fit"]
    assert "ImageNet mean and std" in problem.found
    assert json.loads(json.dumps(seen.as_json()))["fit"]["others"]


def test_networks_without_batch_statistics_tell_nothing(encoder: Encoder) -> None:
    assert statistics_fit(torch.nn.Sequential(torch.nn.Flatten()), scans(2)) is None  # type: ignore[arg-type]
    one = replace(CONTRACT, channels=1, mean=(0.0,), std=(1.0,))
    assert all(len(other.mean) == 1 for other in other_contracts(one).values())


def test_only_a_much_better_fit_is_called_better() -> None:
    assert StatisticsFit(1.0, {"a": 0.7, "b": 0.9}).better is None
    assert StatisticsFit(1.0, {"a": 0.5, "b": 0.4}).better == "b"
    assert StatisticsFit(1.0, {}).better is None


# Real images


@pytest.mark.real
def test_real_fundus_photographs_from_blue_to_red_are_found() -> None:
    from medtransfer.cli.image_folder import read_folder

    folder = (
        Path(__file__).resolve().parents[3] / "shared" / "data" / "drive" / "DRIVE" / "training" / "images"
    )
    if not folder.is_dir():
        pytest.skip("the fundus photographs are absent")
    images, unreadable = read_folder(folder, 64)
    assert unreadable == []
    good = check_input("net", InputContract(size=64), images)
    assert (good.problems, good.remarks) == ((), ())
    swapped = [replace(found, pixels=found.pixels[..., ::-1]) for found in images]
    assert codes(check_input("net", InputContract(size=64), swapped).remarks) == ["channels-look-swapped"]
