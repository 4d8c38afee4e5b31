"""Studies for the tests of reports; made once per session."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load() -> ModuleType:
    name = "synthetic_study"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module that makes studies."""
    return _load()


@pytest.fixture(scope="session")
def reading(synthetic: ModuleType) -> Any:
    """A study with every kind of cell."""
    from medtransfer.reports.study_reading import read_study

    return read_study(synthetic.full_study().evidence())


@pytest.fixture(scope="session")
def hostile_reading(synthetic: ModuleType) -> Any:
    """A study in which every name attacks."""
    from medtransfer.reports.study_reading import read_study

    return read_study(synthetic.hostile_study().evidence())


@pytest.fixture(scope="session")
def disturbed_reading(synthetic: ModuleType) -> Any:
    """The study of ``reading`` as it is when it was interrupted: other order, owners, times, attempts."""
    from medtransfer.reports.study_reading import read_study

    maker = synthetic.full_study()
    maker.records = [
        replace(
            record,
            attempts=3,
            owner="other:2",
            finished_at="2027-01-01T00:00:00Z",
            outcome=record.outcome and replace(record.outcome, duration_s=99.0, cpu_s=99.0),
        )
        for record in reversed(maker.records)
    ]
    return read_study(maker.evidence())


@pytest.fixture(scope="session")
def wide() -> ModuleType:
    """The module that makes studies over many tasks."""
    path = Path(__file__).with_name("wide_study.py")
    spec = importlib.util.spec_from_file_location("wide_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wide_reading(wide: ModuleType, synthetic: ModuleType) -> Any:
    """A reading of eight tasks with costs of training."""
    from medtransfer.reports.study_reading import read_study

    return read_study(wide.wide_study(synthetic).evidence())
