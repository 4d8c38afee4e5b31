"""A linear probe on real images: the real ImageNet weights against random ones, over other patients."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medtransfer.metrics.declared_metrics import compute_metrics, resampled
from medtransfer.metrics.predictions import Predictions
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.transfer_protocol import Bench, TransferRequest
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.patients import P_VALUE_DRAWS, patient_weights
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.registry import target_tasks

pytestmark = pytest.mark.real

TASKS = {"breastmnist": "medmnist/breastmnist.npz", "covid-ct": "covid_ct"}
NETWORKS = ("mobilenetv1_100", "squeezenet1_1")
SIDE = 64
"""Side of the images in pixels, as in the study first-light."""
SETTLED = ("covid-ct",)
"""Tasks whose test patients are enough to tell; BreastMNIST has 42 test cases of its rarer class."""


def probed(task: str, model: str, data: Path, folder: Path) -> Predictions:
    """Predictions of a linear probe on all labels for the test cases."""
    target, cases = open_target_task(target_tasks.get(task), data / TASKS[task])
    bench = Bench(task, cases, resolve_model(model), data / "weights", folder, target.metrics[0])
    request = TransferRequest(1.0, 0, cases.indices("train"), seed=0)
    (transfer,) = Linear(image_size=SIDE).fit(bench, [request])
    return transfer.predictions["best"]["test"]


def compared(task: str, network: str, data: Path, folder: Path) -> Comparison:
    """ImageNet weights against random ones, by AUC, on the same draws of test patients."""
    pretrained, random = (probed(task, f"{network}.{tag}", data, folder) for tag in ("sup_in1k", "random"))
    assert pretrained.case_ids == random.case_ids
    weights = patient_weights(pretrained.patient_ids, P_VALUE_DRAWS, seed=0)
    points = [float(compute_metrics(["auc"], found)["auc"].value or 0) for found in (pretrained, random)]
    draws = [resampled("auc", found, weights) for found in (pretrained, random)]
    return compare_by_cases(*points, *draws, patients=len(set(pretrained.patient_ids)))


def sentence(network: str, found: Comparison) -> str:
    return (
        f"{network}: AUC {found.mean_a:.3f} with ImageNet weights, {found.mean_b:.3f} with random ones, "
        f"difference {found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}, p = {found.p:.4f}, "
        f"{found.n_a} patients)"
    )


@pytest.mark.parametrize("task", TASKS)
def test_imagenet_weights_are_better_than_random_ones(task: str, shared_data: Path, tmp_path: Path) -> None:
    found = {network: compared(task, network, shared_data, tmp_path) for network in NETWORKS}
    text = "\n".join([f"{task}, linear probe:", *(sentence(*pair) for pair in found.items())])
    sys.stdout.write(f"\n{text}\n")
    intervals = [(each.low, each.high) for each in found.values() if each.low is not None]
    assert len(intervals) == len(NETWORKS), text
    assert any(each.difference > 0 for each in found.values()), text
    assert all(high > 0 for _, high in intervals if high is not None), f"worse than random weights: {text}"
    if task in SETTLED:
        assert any(low > 0 for low, _ in intervals if low is not None), text
