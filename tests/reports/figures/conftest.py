"""The study over many tasks, made once per session."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def wide() -> ModuleType:
    """The module that makes studies over many tasks."""
    path = Path(__file__).parent.parent / "wide_study.py"
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
