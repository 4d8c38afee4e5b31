"""Where data, weights, caches and stores are, from options and environment variables."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

DATA_VARIABLE = "MEDTRANSFER_DATA"
WEIGHTS_VARIABLE = "MEDTRANSFER_WEIGHTS"
CACHE_VARIABLE = "MEDTRANSFER_CACHE"
STORE_VARIABLE = "MEDTRANSFER_STORE"


def cache_folder() -> Path:
    """Return the cache folder: ``MEDTRANSFER_CACHE`` or the platform's user cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("medtransfer"))


def data_folder() -> Path | None:
    """Return the folder named by ``MEDTRANSFER_DATA``, if any."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else None


def weights_folder() -> Path | None:
    """Return the folder named by ``MEDTRANSFER_WEIGHTS``, if any."""
    chosen = os.environ.get(WEIGHTS_VARIABLE)
    return Path(chosen) if chosen else None
