"""Where the real images and weights are; absent is a skip, unless they are required."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("MEDTRANSFER_SHARED_DATA", DEFAULT))
    if not folder.is_dir():
        if os.environ.get("MEDTRANSFER_REQUIRE_REAL") == "1":
            pytest.fail(
                f"real data: expected a folder at {folder}, got none, and MEDTRANSFER_REQUIRE_REAL=1."
            )
        pytest.skip(f"the folder of real images, {folder}, is absent")
    return folder
