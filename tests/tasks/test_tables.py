"""Label files as they come: every way of writing one table is read alike, every other file is refused by line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks import tables
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement

SUBJECT = "task 't'"


def read(
    root: Path, content: str | bytes, columns: tuple[str, ...] = ("file",), **options: Any
) -> pd.DataFrame:
    (root / "list.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(SUBJECT, root, "list.csv", columns, **options)


def refusal(root: Path, content: str | bytes, columns: tuple[str, ...] = ("file",)) -> str:
    with pytest.raises(DataError) as refused:
        read(root, content, columns)
    assert type(refused.value) is DataError
    text = str(refused.value)
    assert text.startswith(f"{SUBJECT}: list.csv: ")
    return text


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("file,finding\n1.png,a\n2.png,b\n", [2, 3]),
        ("file,finding\n1.png,a\n2.png,b", [2, 3]),
        ("file;finding\n1.png;a\n2.png;b\n", [2, 3]),
        ("file\tfinding\n1.png\ta\n2.png\tb\n", [2, 3]),
        ("\ufefffile;finding\n1.png;a\n2.png;b\n", [2, 3]),
        ("file,finding\r\n1.png,a\r\n2.png,b\r\n", [2, 3]),
        (" file , finding\t\n1.png , a\n\t2.png, b \n", [2, 3]),
        ("file;finding\n\n1.png;a\n;;\n;\n2.png;b\n;;;;\n\n", [3, 6]),
        ('"file","finding"\n"1.png","a"\n"2.png","b"\n', [2, 3]),
        ('\ufeff"file";"finding"\r\n;\r\n"1.png";a\r\n2.png;"b"\r\n;\r\n', [3, 4]),
    ],
    ids=[
        *("plain", "no last line end", "semicolons", "tabs", "byte order mark", "Windows line ends"),
        *("outer blanks", "blank rows", "quoted", "all of it"),
    ],
)
def test_every_way_of_writing_a_table_gives_the_same_cells(
    tmp_path: Path, content: str, lines: list[int]
) -> None:
    expected = pd.DataFrame({"file": ["1.png", "2.png"], "finding": ["a", "b"]}, index=lines, dtype=str)
    pd.testing.assert_frame_equal(read(tmp_path, content), expected)
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(content.encode()))
    packed = read_table(SUBJECT, tmp_path, "list.csv.gz", ["finding", "file"])
    pd.testing.assert_frame_equal(packed, expected)


def test_cells_stay_the_text_they_are(tmp_path: Path) -> None:
    texts = ["007", "1.0", "", "NA", "nan", "None", "1e5", "-", "ä b", "#N/A", "TRUE"]
    frame = read(tmp_path, "file,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    assert frame["file"].tolist() == texts
    assert set(map(type, frame.to_numpy().ravel())) == {str}


def test_quotes_hold_separators_line_breaks_and_quotes(tmp_path: Path) -> None:
    frame = read(
        tmp_path, 'file,report\n1,"no mass, no effusion"\n2,"first\r\n\r\nlast"\n3,"so ""called"""\n4,x\n'
    )
    assert frame["report"].tolist() == [
        "no mass, no effusion",
        "first\n\nlast",
        'so "called"',
        "x",
    ]
    first, broken, after, last = frame.index
    assert (first, after, last) == (2, 6, 7)
    assert 3 <= broken <= 5


def test_rows_after_a_line_break_in_a_cell_are_named_by_their_own_line(tmp_path: Path) -> None:
    text = refusal(tmp_path, 'file,report\n1,"a\nb\nc"\n2\n3,x\n')
    assert "got line 5: 1 cells. " in text


def test_names_in_brackets_may_hold_the_separator(tmp_path: Path) -> None:
    bare = read(
        tmp_path, "file,Size[Width,Height],Spacing[x,y],\n1.png,2500,2048,0.17,0.18,\n", ("file", "Height]")
    )
    assert bare.loc[2].to_dict() == {
        "file": "1.png",
        "Size[Width": "2500",
        "Height]": "2048",
        "Spacing[x": "0.17",
        "y]": "0.18",
        "": "",
    }
    quoted = read(tmp_path, 'file,"Size[Width,Height]"\n1.png,"2500,2048"\n', ("Size[Width,Height]",))
    assert quoted.loc[2].to_dict() == {"file": "1.png", "Size[Width,Height]": "2500,2048"}


def test_other_columns_can_be_left_out(tmp_path: Path) -> None:
    content = "a,file,b,a\n1,x,2,3\n"
    assert read(tmp_path, content, ("b", "file"), only=True).to_dict("list") == {"file": ["x"], "b": ["2"]}
    assert list(read(tmp_path, content, ("b", "file"))) == ["a", "file", "b"]


def test_the_most_frequent_of_the_allowed_separators_counts(tmp_path: Path) -> None:
    content = "file|x,a;b;c\n1,2;3;4\n"
    assert list(read(tmp_path, content, ())) == ["file|x,a", "b", "c"]
    assert list(read(tmp_path, content, (), delimiters=(",", "|"))) == ["file|x", "a;b;c"]
    report = read(tmp_path, "file;report\n1;heart, lungs, and ribs\n", ("report",))
    assert report["report"].tolist() == ["heart, lungs, and ribs"]
    with pytest.raises(DataError, match=r"expected the columns \['file'\], got \['file;label'\]"):
        read(tmp_path, "file;label\n1;2\n", delimiters=(",",))


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    frame = read(tmp_path, "file,label\n", ("label",))
    assert (list(frame), len(frame)) == (["file", "label"], 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,b\n1,2\n1\n3,4\n5\n", "2 cells in every row, got line 3: 1 cells; line 5: 1 cells. "),
        ("file,b\n1,2\n\n1,2,3\n", "2 cells in every row, got line 4: 3 cells. "),
        ("file,b\n1,2,\n", "got line 2: 3 cells. "),
        ("file,b,file\n1,2,3\n", "each column once, got ['file'] more than once"),
        ("file ,b,\tfile\n1,2,3\n", "each column once, got ['file'] more than once"),
        (
            "files,b\n1,2\n",
            "expected the columns ['file'], got ['files', 'b']. Did you mean ['files'] for 'file'?",
        ),
        ("image,b\n1,2\n", "expected the columns ['file'], got ['image', 'b']."),
        ("File,b\n1,2\n", "Did you mean ['File'] for 'file'?"),
        ("", "a header, got an empty one"),
        (" \n\t\r\n\n", "a header, got an empty one"),
        ("\ufeff", "a header, got an empty one"),
        ("file,name\n1,Müller\n".encode("cp1252"), "a CSV file in UTF-8, got "),
        ("file,name\n1,2\n".encode("utf-16"), "a CSV file in UTF-8, got "),
        ('file,b\n1,2\n"3,4\n5,6\n', "line 4: expected a CSV file, got unexpected end of data"),
        ('file,b\n1,2\n"3"3,4\n', "line 3: expected a CSV file, got "),
        ("file,b\n1,2\n3,4\r5,6\n", "line 3: expected a CSV file, got "),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


def test_a_name_that_nothing_resembles_gets_no_suggestion(tmp_path: Path) -> None:
    assert "Did you mean" not in refusal(tmp_path, "image,b\n1,2\n")
    several = refusal(tmp_path, "files,patient_id,x\n1,2,3\n", ("file", "patient", "zzz"))
    assert "expected the columns ['file', 'patient', 'zzz'], got ['files', 'patient_id', 'x']." in several
    assert several.endswith("Did you mean ['files'] for 'file'? Did you mean ['patient_id'] for 'patient'?")


def test_a_repeated_name_matters_only_where_it_is_needed(tmp_path: Path) -> None:
    assert read(tmp_path, "file,b,b\n1,2,3\n")["file"].tolist() == ["1"]
    assert "['b'] more than once" in refusal(tmp_path, "file,b,b\n1,2,3\n", ("b",))


@pytest.mark.parametrize(
    ("constant", "value", "content", "message"),
    [
        ("MAX_COLUMNS", 3, "file,a,b,c\n1,2,3,4\n", "expected at most 3 columns, got 4"),
        ("MAX_LINE_BYTES", 20, f"file\n1\n{'x' * 21}\n", "lines of at most 20 characters, got 21"),
        ("MAX_LINE_BYTES", 20, f"file{'x' * 17}\n1\n", "lines of at most 20 characters, got 21"),
        ("MAX_BYTES", 30, f"file\n{'x' * 26}", "expected at most 30 bytes, got more"),
    ],
)
def test_sizes_no_label_file_has_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    value: int,
    content: str,
    message: str,
) -> None:
    read(tmp_path, content, ())
    monkeypatch.setattr(tables, constant, value)
    assert message in refusal(tmp_path, content, ())
    monkeypatch.setattr(tables, constant, value + 1)
    read(tmp_path, content, ())


def test_a_packed_file_is_measured_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(b"file\n" + b"1\n" * 5000))
    assert len(read_table(SUBJECT, tmp_path, "list.csv.gz", ["file"])) == 5000
    monkeypatch.setattr(tables, "MAX_BYTES", 10_004)
    with pytest.raises(DataError, match=r"list\.csv\.gz: expected at most 10004 bytes, got more"):
        read_table(SUBJECT, tmp_path, "list.csv.gz", ["file"])


@pytest.mark.parametrize("keep", [0, 5, 30, -1], ids=["nothing", "the start", "half", "all but a byte"])
def test_a_packed_file_that_is_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    whole = gzip.compress("".join(f"{number * 7919 % 1000},x\n" for number in range(50)).encode())
    (tmp_path / "list.csv.gz").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"^task 't': list\.csv\.gz: expected a CSV file"):
        read_table(SUBJECT, tmp_path, "list.csv.gz", [])


def test_a_plain_file_is_not_taken_for_a_packed_one(tmp_path: Path) -> None:
    (tmp_path / "list.csv.gz").write_text("file\n1\n")
    with pytest.raises(DataError, match=r"list\.csv\.gz: expected a CSV file in UTF-8, got .*gzip"):
        read_table(SUBJECT, tmp_path, "list.csv.gz", ["file"])


class TestPlaces:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "data" / "below").mkdir(parents=True)
        (tmp_path / "outside.csv").write_text("file\nsecret\n")
        (tmp_path / "data" / "below" / "list.csv").write_text("file\n1\n")
        return tmp_path / "data"

    def refused(self, root: Path, name: str) -> str:
        with pytest.raises(DataError) as refused:
            read_table(SUBJECT, root, name, ["file"])
        assert str(refused.value).startswith(f"{SUBJECT}: ")
        assert "secret" not in str(refused.value)
        return str(refused.value)

    def test_a_file_below_and_a_link_inside_are_read(self, root: Path) -> None:
        (root / "link.csv").symlink_to(root / "below" / "list.csv")
        for name in ("below/list.csv", "link.csv", "below/../below/list.csv"):
            assert read_table(SUBJECT, root, name, ["file"])["file"].tolist() == ["1"]

    @pytest.mark.parametrize("name", ["../outside.csv", "below/../../outside.csv"])
    def test_a_path_upwards_is_refused(self, root: Path, name: str) -> None:
        assert f"{name!r}: expected a file inside the data folder" in self.refused(root, name)

    def test_an_absolute_path_is_refused(self, root: Path) -> None:
        for path in (root.parent / "outside.csv", root / "below" / "list.csv"):
            assert "expected a path relative to the data folder" in self.refused(root, str(path))

    def test_links_out_of_the_root_are_refused(self, root: Path) -> None:
        (root / "link.csv").symlink_to("../outside.csv")
        (root / "folder").symlink_to(root.parent)
        for name in ("link.csv", "folder/outside.csv"):
            assert f"{name!r}: expected a file inside the data folder" in self.refused(root, name)

    @pytest.mark.parametrize("name", ["list.csv", "below", "nowhere/list.csv"])
    def test_what_is_no_file_is_refused(self, root: Path, name: str) -> None:
        assert f"expected the file {name} in {root}, got none" in self.refused(root, name)

    def test_what_is_no_path_is_refused(self, root: Path) -> None:
        self.refused(root, "list\0.csv")


def test_faults_are_named_up_to_five() -> None:
    refuse(SUBJECT, "x.csv", "nothing", [])
    for number in (1, 5):
        with pytest.raises(DataError) as refused:
            refuse(SUBJECT, "x.csv: column 'a'", "0 or 1", [f"line {n}" for n in range(number)])
        named = "; ".join(f"line {n}" for n in range(number))
        assert (
            str(refused.value)
            == f"{SUBJECT}: x.csv: column 'a': expected 0 or 1, got {named}. Correct the file."
        )
    with pytest.raises(DataError, match=r"got line 0; line 1; line 2; line 3; line 4; and 3 more\. Correct"):
        refuse(SUBJECT, "x.csv", "0 or 1", [f"line {n}" for n in range(8)])


def test_every_row_of_another_length_is_counted(tmp_path: Path) -> None:
    text = refusal(tmp_path, "file,b\n" + "1\n" * 9)
    assert re.search(r"got line 2: 1 cells; .*line 6: 1 cells; and 4 more\.", text)
    assert "line 7" not in text


def test_rows_that_say_the_same_about_an_image_agree() -> None:
    rows = pd.DataFrame(
        {"image": ["a", "b", "a", "c"], "label": ["1", "0", "1", "1"], "note": ["x", "y", "z", "x"]},
        index=[2, 3, 5, 9],
    )
    refuse_disagreement(SUBJECT, "x.csv", rows, "image", ["label"])
    refuse_disagreement(SUBJECT, "x.csv", rows.iloc[1:], "image", ["label", "note"])
    with pytest.raises(DataError) as refused:
        refuse_disagreement(SUBJECT, "x.csv", rows, "image", ["label", "note"])
    assert str(refused.value) == (
        f"{SUBJECT}: x.csv: expected rows of one image to agree on label, note, got 'a' on lines 2, 5. "
        "Correct the file."
    )


def test_empty_cells_disagree_with_others() -> None:
    rows = pd.DataFrame({"image": ["a", "a"], "label": ["1", ""]}, index=[2, 3])
    with pytest.raises(DataError, match="'a' on lines 2, 3"):
        refuse_disagreement(SUBJECT, "x.csv", rows, "image", ["label"])


def test_disagreements_are_named_up_to_five() -> None:
    images = [f"i{number}" for number in range(9)] * 2
    rows = pd.DataFrame({"image": images, "label": ["0"] * 9 + ["1"] * 9}, index=range(2, 20))
    with pytest.raises(DataError) as refused:
        refuse_disagreement(SUBJECT, "x.csv", rows, "image", ["label"])
    assert "'i0' on lines 2, 11; " in str(refused.value)
    assert "'i4' on lines 6, 15; and " in str(refused.value)
    assert "'i5'" not in str(refused.value)


def test_all_disagreements_are_counted() -> None:
    rows = pd.DataFrame({"image": [*"abcdefghi"] * 2, "label": ["0"] * 9 + ["1"] * 9}, index=range(2, 20))
    with pytest.raises(DataError, match=r"'e' on lines 6, 15; and 4 more\."):
        refuse_disagreement(SUBJECT, "x.csv", rows, "image", ["label"])


@pytest.mark.parametrize(
    "content",
    ["file,b\r1,2\r3,4\r", "file\rb,c\n1,2\n", f'file,"{"x" * 200_000}"\n1,2\n'],
    ids=["line ends of old Macs", "a stray line end", "a very long name"],
)
def test_a_header_that_is_no_csv_is_refused(tmp_path: Path, content: str) -> None:
    assert "expected a CSV file, got " in refusal(tmp_path, content)


def test_a_packed_file_with_changed_bytes_is_refused(tmp_path: Path) -> None:
    content = bytearray(gzip.compress("".join(f"{n * 7919 % 1000},x\n" for n in range(500)).encode()))
    content[40:60] = bytes(20)
    (tmp_path / "list.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"^task 't': list\.csv\.gz: expected a CSV file"):
        read_table(SUBJECT, tmp_path, "list.csv.gz", [])


def test_rows_of_outer_blanks_are_blank(tmp_path: Path) -> None:
    assert read(tmp_path, "file;b\n1;2\n ; \n\t;\n3;4\n").index.tolist() == [2, 5]


@pytest.mark.parametrize("delimiter", [";", ","])
def test_the_line_that_excel_writes_first_names_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    text = f"sep={delimiter}\nfile{delimiter}b\n1{delimiter}2\n"
    rows = read(tmp_path, text)
    assert rows.index.tolist() == [3]
    assert rows.loc[3, "b"] == "2"
