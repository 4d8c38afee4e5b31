"""Any text as LaTeX: nothing in it is a command, and what LaTeX lacks is named by its code point."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtransfer.reports.renderers.latex import latex_text

MATHEMATICS = re.compile(r"\$[^$]*\$")
WRITTEN_OUT = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\char36{}",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


@pytest.mark.parametrize(("sign", "code"), WRITTEN_OUT.items())
def test_special_signs_are_written_out(sign: str, code: str) -> None:
    assert latex_text(f"a{sign}b") == f"a{code}b"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a_b", r"a\_\allowbreak{}b"),
        ("resnet50.sup", r"resnet50.\allowbreak{}sup"),
        ("0.82 of 1.5.", "0.82 of 1.5."),
        ("e -- f --- g", "e -{}- f -{}-{}- g"),
        ("it''s", "it'{}'s"),
        ("[x]*", "{[}x{]}{*}"),
        ("0.8 ± 0.1 ×2", r"0.8 $\pm$ 0.1 $\times$2"),
        ("−0.1\u00a0%", r"$-$0.1~\%"),
        ("Pérez Šimon Åsa naïve", r"P\'{e}rez \v{S}imon \r{A}sa na\"{\i}ve"),
        ("e\u0301", r"\'{e}"),
        ("ế", r"\'{\^{e}}"),
        ("ệ", r"\^{\d{e}}"),
        ("straße λ", r"stra\ss{}e $\lambda$"),
        ("図", "{[}U+56F3{]}"),
        ("😀", "{[}U+1F600{]}"),
        ("ж", "{[}U+0436{]}"),
        ("a\u2028b", r"a\textbackslash{}u2028b"),
        ("a\u202eb\x1b\ud800", r"a\textbackslash{}u202eb\textbackslash{}x1b\textbackslash{}ud800"),
        ("  a \n b  ", "a b"),
        ("", ""),
    ],
)
def test_texts(text: str, code: str) -> None:
    shown = latex_text(text)
    assert shown.replace(r"\allowbreak{}", "") == code.replace(r"\allowbreak{}", "")
    if r"\allowbreak" in code:
        assert shown == code


def test_long_words_may_break_and_short_ones_do_not() -> None:
    assert latex_text("abcdefghij") == "abcdefghij"
    pieces = latex_text("a" * 100).split(r"\allowbreak{}")
    assert "".join(pieces) == "a" * 100
    assert max(map(len, pieces)) <= 20


def commands_of(code: str) -> str:
    """What is left of LaTeX when everything that cannot do harm is taken away."""
    code = MATHEMATICS.sub("", code)
    code = re.sub(
        r"\\(allowbreak|text[a-z]+|char36|ldots|enspace|quad|rule|mbox|ss|ae|AE|oe|OE|o|O|l|L|i|j)\b",
        "",
        code,
    )
    code = re.sub(r"\\[&#%_,`'^~=.\"uHvdcbr-]", "", code)
    return code.replace("[0.15ex]", "")


@given(st.text(st.characters(), max_size=60))
def test_no_text_can_be_a_command(text: str) -> None:
    code = latex_text(text)
    assert code.isascii()
    left = commands_of(code)
    assert not set(left) & set("\\$&#%_^"), left
    depth = 0
    for sign in code:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"(?<!\{)\[(?!0\.15ex)", code)


@given(st.text(st.sampled_from("abcXYZ 019,.;:()+=?!"), max_size=19))
def test_plain_text_stays_as_it_is(text: str) -> None:
    expected = re.sub(r",(?=,)", ",{}", " ".join(text.split()))
    assert latex_text(text).replace(r"\allowbreak{}", "") == expected


def test_every_sign_of_every_plane_has_a_text() -> None:
    for code in range(0, 0x110000, 7):
        shown = latex_text(f"a{chr(code)}b")
        assert shown.isascii()
        if unicodedata.category(chr(code)) in {"Lo", "So"} and code > 0x2600:
            assert f"U+{ord(unicodedata.normalize('NFC', chr(code))[0]):04X}" in shown
