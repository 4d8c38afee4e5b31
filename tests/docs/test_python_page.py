"""The page on the Python interface, executed from top to bottom: it prints what it shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def test_the_examples_print_what_the_page_shows(
    no_variables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks].count("text") == 4
    names: dict[str, object] = {}
    printed = ""
    for language, block in blocks:
        if language == "text":
            assert without_results(printed) == without_results(block)
            continue
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block, PAGE.name, "exec"), names)
        printed = output.getvalue()


def without_results(text: str) -> str:
    """Return the text without the numbers and choices that another processor may give differently."""
    return re.sub(r"0\.\d{3}\b|'k': \d+|'vote': '\w+'", "…", text)
