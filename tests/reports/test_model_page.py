"""The documentation's table of source models is that of the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import catalogue
from medtransfer.reports.model_page import END, START, table_lines, with_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "source-models.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: python -m medtransfer.reports.model_page docs/source-models.md"


def test_every_pretrained_model_has_a_row() -> None:
    rows = [line for line in table_lines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [model.name for model in catalogue if not model.is_random]
    assert {row.count(" | ") for row in rows} == {7}


def test_files_that_were_never_at_hand_are_marked() -> None:
    rows = {line.split("`")[1]: line.split(" | ")[5] for line in table_lines() if line.startswith("| `")}
    assert rows["resnet50.mocov2_in1k"] == "`fetch`, untried"
    assert rows["resnet50.byol_in1k"] == "`fetch`, `convert`, untried"
    assert rows["resnet20.sup_cifar10"] == "by hand"
    assert rows["resnet50.tv_in1k"] == "`timm`"


def test_only_the_table_is_replaced() -> None:
    text = f"before\n{START}\nold\n{END}\nafter\n"
    renewed = with_table(text)
    assert renewed.startswith(f"before\n{START}\n\n| name |")
    assert renewed.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in renewed
    assert with_table(renewed) == renewed


@pytest.mark.parametrize("text", ["", START, END, f"{END}\n{START}"])
def test_a_page_without_marks_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected the marks"):
        with_table(text)
