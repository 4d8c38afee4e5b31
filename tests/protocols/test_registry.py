"""Every registered protocol keeps the interface."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from medtransfer.core.errors import NotRegisteredError
from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.registry import protocols


def test_names() -> None:
    assert {"finetune", "linear", "knn"} <= set(protocols.names())
    with pytest.raises(NotRegisteredError, match="Did you mean 'finetune'"):
        protocols.get("fine-tune")


@pytest.mark.parametrize("name", protocols.names())
@pytest.mark.parametrize("kind", list(TaskKind))
def test_interface(name: str, kind: TaskKind) -> None:
    protocol = protocols.get(name)()
    assert protocol.name == name
    assert protocol.revision >= 1
    assert isinstance(protocol.shares_work(kind), bool)
    if protocol.supports(kind):
        settings = protocol.settings(kind)
        assert json.loads(json.dumps(settings, allow_nan=False)) == settings
        assert set(protocol.varied(kind, 1.0)) <= set(protocol.varied(kind, 0.1))
        assert "label subset" in protocol.varied(kind, 0.1)
        assert "label subset" not in protocol.varied(kind, 1.0)
    assert pickle.loads(pickle.dumps(protocol)) == protocol


def test_settings_of_a_study_can_be_checked_without_torch() -> None:
    code = "import sys, medtransfer.protocols.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
