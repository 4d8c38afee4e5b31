"""Build the environment from a bare python3: a virtual environment, uv in it, the locked packages, the project."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent
OLDEST = (3, 11)


def main(folder: Path) -> None:
    """Make or complete the environment in ``folder``."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Python: expected {OLDEST[0]}.{OLDEST[1]} or newer, got {sys.version.split()[0]}. Set PYTHON=..."
        )
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not has_pip(python):
        make_empty(folder)
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS / "installer.txt")
    uv = python.with_name("uv.exe" if os.name == "nt" else "uv")
    install = (uv, "pip", "install", "--python", python, "--compile-bytecode")
    run(*install, "--require-hashes", "-r", REQUIREMENTS / "dev.txt")
    run(*install, "--no-deps", "--editable", REQUIREMENTS.parent)


def has_pip(python: Path) -> bool:
    """Return whether an interpreter is there, works and can install the installer."""
    if not python.exists():
        return False
    return (
        subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    )


def make_empty(folder: Path) -> None:
    """Make a new environment in place of whatever is in ``folder``."""
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(folder)
    except (subprocess.CalledProcessError, ImportError, OSError) as error:
        sys.exit(f"{folder}: expected to make a virtual environment, got: {error}. Install python3-venv.")


def run(*command: object) -> None:
    """Run a command and stop with its exit code when it fails."""
    done = subprocess.run([str(part) for part in command], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
