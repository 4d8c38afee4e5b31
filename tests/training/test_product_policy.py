"""Which CPUs compute products of channels as convolutions."""

from __future__ import annotations

import pytest
import torch

from medtransfer.core.errors import UsageError
from medtransfer.training import product_policy
from medtransfer.training.device_policy import VARIABLE
from medtransfer.training.product_policy import products_for
from medtransfer.training.recipe import Precision


def run_on(monkeypatch: pytest.MonkeyPatch, vendor: str, instructions: str) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(product_policy, "processor_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)


@pytest.mark.parametrize(
    ("vendor", "instructions", "device", "precision", "expected"),
    [
        ("AuthenticAMD", "AVX512", "cpu", "fp32", "convolutions"),
        ("AuthenticAMD", "AVX512", "cpu", "bf16-mixed", "library"),
        ("AuthenticAMD", "AVX512", "cuda", "fp32", "library"),
        ("AuthenticAMD", "AVX2", "cpu", "fp32", "library"),
        ("GenuineIntel", "AVX512", "cpu", "fp32", "library"),
        ("", "DEFAULT", "cpu", "fp32", "library"),
    ],
)
def test_table(
    vendor: str,
    instructions: str,
    device: str,
    precision: Precision,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_on(monkeypatch, vendor, instructions)
    assert products_for(torch.device(device), precision) == expected


@pytest.mark.parametrize(
    ("vendor", "asked", "expected"),
    [
        ("GenuineIntel", "convolutions", "convolutions"),
        ("AuthenticAMD", "library", "library"),
        ("AuthenticAMD", "table", "convolutions"),
    ],
)
def test_the_variable_decides(
    vendor: str, asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_on(monkeypatch, vendor, "AVX512")
    monkeypatch.setenv(VARIABLE, f"products={asked}")
    assert products_for(torch.device("cpu")) == expected


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "products=fast")
    with pytest.raises(UsageError, match=r"products: .*'library'.*got 'fast'"):
        products_for(torch.device("cpu"))
