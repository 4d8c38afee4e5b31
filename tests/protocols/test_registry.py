"""The registry of protocols; what each of them owes is in tests/contracts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medtransfer.core.errors import NotRegisteredError
from medtransfer.protocols.registry import protocols


def test_names() -> None:
    assert {"finetune", "linear", "knn"} <= set(protocols.names())
    with pytest.raises(NotRegisteredError, match="Did you mean 'finetune'"):
        protocols.get("fine-tune")


def test_settings_of_a_study_can_be_checked_without_torch() -> None:
    code = "import sys, medtransfer.protocols.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
