"""Papers of made-up studies, written once, and LaTeX to compile them where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtransfer.reports.paper.write_paper import PaperFiles, write_paper

REQUIRED = "MEDTRANSFER_REQUIRE_LATEX"
COMMAND = "medtransfer report /home/canary-person/store --paper /home/canary-person/paper"
LATEX = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape")


@pytest.fixture(scope="session")
def paper(reading: Any, tmp_path_factory: pytest.TempPathFactory) -> PaperFiles:
    """The paper of a study with every kind of cell; read it, do not change it."""
    return write_paper(reading, tmp_path_factory.mktemp("paper") / "full", command=COMMAND)


@pytest.fixture(scope="session")
def hostile_paper(hostile_reading: Any, tmp_path_factory: pytest.TempPathFactory) -> PaperFiles:
    """The paper of a study in which every name attacks."""
    return write_paper(hostile_reading, tmp_path_factory.mktemp("paper") / "hostile", command=COMMAND)


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[Path], str]:
    """Compile a copy of a folder's ``main.tex`` with references, and return the last log."""
    missing = [program for program in ("pdflatex", "bibtex") if shutil.which(program) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed; {REQUIRED}=1 makes this an error"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    def run(folder: Path) -> str:
        copy = tmp_path / "compiled"
        shutil.copytree(folder, copy)
        uses_references = "\\bibliography{" in (copy / "main.tex").read_text()
        steps: list[tuple[str, ...]] = [(*LATEX, "main")]
        steps += [("bibtex", "main"), (*LATEX, "main"), (*LATEX, "main")] if uses_references else []
        for step in steps:
            ended = subprocess.run(step, cwd=copy, capture_output=True, check=False, timeout=120)
            assert ended.returncode == 0, ended.stdout.decode("utf-8", "replace")[-3000:]
            if step[0] == "bibtex":
                assert b"Warning--" not in ended.stdout
        assert (copy / "main.pdf").read_bytes().startswith(b"%PDF")
        return (copy / "main.log").read_text(encoding="utf-8", errors="replace")

    return run
