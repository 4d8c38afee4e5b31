"""What the system says about the processor."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from medtransfer.core import processor

DESCRIBED = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC: 9B45\n\nprocessor\t: 1\n"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    processor.processor_vendor.cache_clear()
    yield
    processor.processor_vendor.cache_clear()


def test_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(DESCRIBED)
    monkeypatch.setattr(processor, "_LINUX", tmp_path / "cpuinfo")
    assert processor.processor_vendor() == "AuthenticAMD"
    assert processor.processor_name() == "AMD EPYC: 9B45"


@pytest.mark.parametrize(
    ("described", "vendor"),
    [
        ("AMD64 Family 25 Model 33 Stepping 2, AuthenticAMD", "AuthenticAMD"),
        ("Intel64 Family 6 Model 85 Stepping 7, GenuineIntel", "GenuineIntel"),
        ("arm", ""),
        ("", ""),
    ],
)
def test_elsewhere(described: str, vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_LINUX", tmp_path / "missing")
    monkeypatch.setattr(platform, "processor", lambda: described)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert processor.processor_vendor() == vendor
    assert processor.processor_name() == (described or "arm64")


def test_an_entry_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("Processor\t: ARMv7\n")
    monkeypatch.setattr(processor, "_LINUX", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert processor.processor_vendor() == ""
