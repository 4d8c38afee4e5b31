"""Build the environment from a bare python3: a virtual environment, uv in it, the locked packages, the project."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main(folder: Path) -> None:
    """Make or complete the environment in ``folder``."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Python: expected {OLDEST[0]}.{OLDEST[1]} or newer, got {sys.version.split()[0]}. Set PYTHON=..."
        )
    try:
        venv.EnvBuilder(with_pip=True, upgrade_deps=False).create(folder)
    except (subprocess.CalledProcessError, ImportError, OSError) as error:
        sys.exit(f"{folder}: expected to make a virtual environment, got: {error}. Install python3-venv.")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        ROOT / "requirements" / "installer.txt",
    )
    uv = python.with_name("uv.exe" if os.name == "nt" else "uv")
    run(uv, "pip", "install", "--python", python, "--require-hashes", "-r", ROOT / "requirements" / "dev.txt")
    run(uv, "pip", "install", "--python", python, "--no-deps", "--editable", ROOT)


def run(*command: object) -> None:
    """Run a command and stop with its exit code when it fails."""
    done = subprocess.run([str(part) for part in command], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
