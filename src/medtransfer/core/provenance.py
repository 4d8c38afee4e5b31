"""What a result was made with: versions, hardware, code revision, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from medtransfer.core.processor import processor_name

_PACKAGES = (
    "medtransfer",
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "pillow",
)


@cache
def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can change a number."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@cache
def hardware() -> dict[str, Any]:
    """Return processor, core count and platform of this machine, without its name."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


@cache
def code_revision() -> str:
    """Return the git revision of a source checkout, or ``release`` when installed."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return "release"
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()


def command_line() -> str:
    """Return the command that runs, with the program's path shortened to its name."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
