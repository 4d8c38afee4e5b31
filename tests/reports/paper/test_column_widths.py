"""Columns of a printed table: every one once, none lost, no part wider than the line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medtransfer.reports.paper.column_widths import GAP, LINE, column_groups, lines_needed
from medtransfer.reports.tables.table import Column, Table, TableCell

texts = st.text(st.sampled_from("abc_ ./-0123"), min_size=1, max_size=60)
cells = st.builds(TableCell, texts, st.lists(texts, max_size=2).map(tuple))
columns = st.lists(st.builds(Column, texts, texts, st.booleans()), min_size=1, max_size=14)


@given(st.data(), columns)
def test_every_column_stands_in_one_part(data: st.DataObject, heads: list[Column]) -> None:
    rows = data.draw(st.lists(st.tuples(*[cells] * len(heads)), max_size=3))
    groups = column_groups(Table("t", "t", tuple(heads), tuple(rows)))
    assert [number for group in groups for number in group.columns[1:]] == list(range(1, len(heads)))
    for group in groups:
        assert group.columns[0] == 0
        assert len(group.columns) == len(group.widths)
        assert sum(group.widths) <= 1 + 1e-9
        assert min(group.widths) > 0


def table(numbers: int, text: str = "0.820 ± 0.014") -> Table:
    heads = (Column("Task"), *(Column(f"model{n}", numeric=True) for n in range(numbers)))
    return Table("t", "t", heads, ((TableCell("task"), *[TableCell(text)] * numbers),))


def test_numbers_are_not_wrapped() -> None:
    for group in column_groups(table(5)):
        assert all(width * LINE - GAP >= len("0.820 ± 0.014") for width in group.widths[1:])


def test_parts_are_as_few_as_possible_and_of_like_size() -> None:
    assert len(column_groups(table(4))) == 1
    sizes = [len(group.columns) - 1 for group in column_groups(table(9))]
    assert sizes == [5, 4]


def test_one_column_alone_is_a_part() -> None:
    (group,) = column_groups(Table("t", "t", (Column("Only"),), ((TableCell("x"),),)))
    assert group.columns == (0,)


def test_a_word_longer_than_the_line_still_has_a_column() -> None:
    groups = column_groups(table(3, "x" * 500))
    assert sum(len(group.columns) - 1 for group in groups) == 3


def test_lines_are_those_of_the_tallest_cell_of_each_row() -> None:
    rows = ((TableCell("a"), TableCell("b", ("c", "d"))), (TableCell("a"), TableCell("b")))
    short = Table("t", "t", (Column("One"), Column("Two")), rows)
    (group,) = column_groups(short)
    assert lines_needed(short, group) == 4
