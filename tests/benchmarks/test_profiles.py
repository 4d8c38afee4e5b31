"""Profiles: which place a stack belongs to, and that the seconds arrive where the work is."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import profiles
from benchmarks.contest import Arm, Contest, Goal
from benchmarks.profiles import CHILDREN, NETWORK, REST, Profile, divide, kind_of, place_of, profile_ours
from medtransfer.protocols.logistic_heads.geometry import CaseGeometry
from medtransfer.stats.patients import patient_weights

ROOT = Path(__file__).parents[2]


def stack(*files: str) -> FrameType:
    """Return the frame of a function in the last file, called from one in the file before it, and so on."""

    def innermost() -> FrameType:
        return sys._getframe(1)

    inner: Callable[[], FrameType] = innermost
    for file in reversed(files):
        names: dict[str, object] = {"inner": inner}
        exec(compile("def work():\n    return inner()", file, "exec"), names)
        inner = names["work"]  # type: ignore[assignment]
    return inner()


OURS = f"{ROOT}/src/medtransfer/data/views.py"
LIBRARIES = f"{ROOT}/.venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("files", "place", "function"),
    [
        ([OURS, f"{LIBRARIES}/torch/nn/modules/conv.py"], NETWORK, None),
        ([OURS, f"{LIBRARIES}/timm/models/resnet.py"], NETWORK, None),
        ([OURS, f"{LIBRARIES}/numpy/linalg/_linalg.py"], "medtransfer.data", "data/views.py:work"),
        ([f"{LIBRARIES}/torch/utils/data.py", OURS], "medtransfer.data", "data/views.py:work"),
        ([f"{LIBRARIES}/medtransfer/store/rows.py"], "medtransfer.store", "store/rows.py:work"),
        ([f"{LIBRARIES}/pandas/core/frame.py"], REST, None),
    ],
)
def test_innermost_frame_of_network_or_ours_decides(
    files: list[str], place: str, function: str | None
) -> None:
    assert place_of(stack(*files)) == (place, function)


def test_no_stack_is_everything_else() -> None:
    assert place_of(None) == (REST, None)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mkldnn_convolution", "convolution"),
        ("aten::convolution_backward", "convolution"),
        ("aten::native_batch_norm", "normalisation"),
        ("aten::hardswish_", "activation"),
        ("aten::max_pool2d_with_indices", "pooling"),
        ("aten::addmm", "matrix product"),
        ("aten::_fused_adamw_", "optimiser"),
        ("aten::copy_", "copies and layout"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "convolution"),
        ("aten::add_", "other operations"),
    ],
)
def test_operations_have_a_kind(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_seconds_of_the_network_are_divided_in_proportion() -> None:
    assert divide(6.0, {"convolution": 1.0, "pooling": 0.5}) == {
        "network: convolution": 4.0,
        "network: pooling": 2.0,
    }
    assert divide(6.0, {}) == {NETWORK: 6.0}


def contest(work: Callable[[], object]) -> Contest:
    return Contest("c", Arm("theirs", lambda: None), Arm("ours", work), Goal(1))


def test_work_of_ours_is_found_in_its_package_and_function() -> None:
    patients = [f"p{number}" for number in range(500)]

    found = profile_ours("R0", contest(lambda: [patient_weights(patients, 200, seed=k) for k in range(60)]))
    assert max(found.shares, key=lambda place: found.shares[place]) == "medtransfer.stats"
    assert next(iter(found.functions)).startswith("stats/patients.py:")
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.cpu_s > 0


def test_a_network_is_divided_by_operation() -> None:
    network = nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32)).eval()
    images = torch.zeros(4, 3, 64, 64)

    def work() -> None:
        with torch.inference_mode():
            for _ in range(100):
                network(images)

    shares = profile_ours("R0", contest(work)).shares
    assert max(shares, key=lambda place: shares[place]) == "network: convolution"
    assert shares["network: normalisation"] > 0


def test_child_processes_are_counted() -> None:
    import subprocess

    busy = "import time\nwhile time.process_time() < 0.3: pass"
    found = profile_ours("R0", contest(lambda: subprocess.run([sys.executable, "-c", busy], check=True)))
    assert max(found.shares, key=lambda place: found.shares[place]) == CHILDREN
    assert found.cpu_s >= 0.3


def test_work_that_lets_no_other_thread_run_is_found_where_it_is() -> None:
    features = np.random.default_rng(0).standard_normal((500, 600))
    space, curvatures = CaseGeometry(features), np.ones(500)

    def work() -> None:
        for _ in range(100):
            space.factorise(curvatures, np.float64)
            space.margins(curvatures)

    functions = profile_ours("R0", contest(work)).functions
    assert next(iter(functions)) == "protocols/logistic_heads/geometry.py:cholesky_of"
    assert functions.get("protocols/logistic_heads/geometry.py:margins", 0) < 0.2


def test_a_failing_arm_fails_and_leaves_no_timer() -> None:
    def work() -> None:
        raise RuntimeError("no pictures")

    before = signal.getsignal(signal.SIGPROF)
    with pytest.raises(RuntimeError, match="no pictures"):
        profiles.Sampler().watch(work)
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
    assert signal.getsignal(signal.SIGPROF) == before


def test_a_short_arm_runs_several_times_and_tells_the_seconds_of_one() -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(sum(range(400_000)))

    found = profile_ours("R0", contest(work))
    assert len(runs) > 2  # one of them to warm up
    assert found.cpu_s < profiles.LEAST_SECONDS


def test_lines_are_two_tables() -> None:
    found = Profile(
        "R2", "c", "ours", 2.5, {"network: convolution": 0.75, REST: 0.25}, {"data/x.py:f": 0.125}
    )
    assert found.lines() == [
        "**R2 c, ours: 2.5 CPU s**",
        "",
        "| where | share |",
        "|-------|------:|",
        "| network: convolution | 75.0% |",
        "| everything else | 25.0% |",
        "",
        "| our functions | share |",
        "|-------|------:|",
        "| `data/x.py:f` | 12.5% |",
    ]


def test_no_seconds_at_all_are_everything_else() -> None:
    assert profiles._shares({}, 0.0) == {REST: 1.0}
    assert profiles._largest(profiles.Counter({"data/x.py:f": 0.0}), 0.0) == {}


def test_small_places_join_the_rest_which_comes_last() -> None:
    assert profiles._shares({"a": 0.5, "b": 1.495, "c": 0.005}, 2.0) == {
        "b": pytest.approx(0.7475),
        "a": 0.25,
        REST: pytest.approx(0.0025),
    }
