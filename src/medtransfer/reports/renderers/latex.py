"""Any text as LaTeX that compiles with every engine's plain text encoding and shows the text letter by letter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from medtransfer.reports.printable import one_line

_ASCII: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\char36{}",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_\allowbreak{}",
    "/": r"/\allowbreak{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "`": r"\`{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
r"""Signs that mean something to LaTeX; ``[`` and ``*`` do after ``\\``. Braces stay balanced for BibTeX."""

_PUNCTUATION: Final = {
    "\u00a0": "~",
    "\u2002": r"\enspace{}",
    "\u2003": r"\quad{}",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "\u00ad": r"\-",
    "\u2010": "-",
    "\u2011": r"\mbox{-}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "„": r",{},",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "•": r"$\bullet$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"$\mathsection$",
    "¶": r"$\mathparagraph$",
    "¡": "!`",
    "¿": "?`",
    "©": "(c)",
    "®": "(R)",
    "™": "(TM)",
    "€": "EUR",
    "£": "GBP",
    "▪": r"\rule[0.15ex]{0.9ex}{0.9ex}",
    "■": r"\rule{1.2ex}{1.2ex}",
}

_LETTERS: Final = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "ȷ": r"\j{}",
}

_MATHEMATICS: Final = {
    "±": r"\pm",
    "∓": r"\mp",
    "×": r"\times",
    "÷": r"\div",
    "−": "-",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "∼": r"\sim",
    "∞": r"\infty",
    "∈": r"\in",
    "∩": r"\cap",
    "∪": r"\cup",
    "⊂": r"\subset",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "↔": r"\leftrightarrow",
    "⇒": r"\Rightarrow",
    "≡": r"\equiv",
    "▲": r"\scriptstyle\bigtriangleup",
    "▼": r"\scriptstyle\bigtriangledown",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∑": r"\sum",
    "∏": r"\prod",
    "√": r"\surd",
    "′": r"{}^{\prime}",
    "°": r"{}^{\circ}",
    "µ": r"\mu",
    "¹": "{}^{1}",
    "²": "{}^{2}",
    "³": "{}^{3}",
    "¬": r"\neg",
    "½": r"{}^{1}/_{2}",
    "¼": r"{}^{1}/_{4}",
    "¾": r"{}^{3}/_{4}",
}

_GREEK: Final = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon",
    "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi",
    "ρ": "rho", "σ": "sigma", "ς": "varsigma", "τ": "tau", "υ": "upsilon",
    "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma",
    "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi",
    "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip

_ACCENTS: Final = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0331": "b",
}
"""Combining marks that every text encoding can set over an ASCII letter."""

_SIGNS: Final = (
    _ASCII
    | _PUNCTUATION
    | _LETTERS
    | {sign: f"${code}$" for sign, code in _MATHEMATICS.items()}
    | {sign: f"$\\{name}$" for sign, name in _GREEK.items()}
)

_UNBROKEN: Final = 20
"""Letters of a word after which a line may end, where the word offers no better place."""


def latex_text(text: str) -> str:
    r"""Return text as LaTeX: on one line, nothing in it a command, signs LaTeX lacks as their code points.

    Total over all of Unicode and plain ASCII, so it needs no input encoding. Braces are balanced, so it
    may stand in a BibTeX field. Names may break after ``_``, ``/``, a dot between letters, and after
    many letters without any of these.

    Args:
        text: Any text; control and invisible signs come out as escapes.

    Example:
        >>> print(latex_text("50 % & more"), latex_text("λ = 0.1 ± 0.02"), latex_text("Pérez"))
        50 \% \& more $\lambda$ = 0.1 $\pm$ 0.02 P\'{e}rez
        >>> print(latex_text("図"))
        {[}U+56F3{]}
    """
    clean = unicodedata.normalize("NFC", one_line(text))
    done = "".join(_words(clean))
    done = re.sub(r"-(?=-)", "-{}", done)
    done = re.sub(r",(?=,)", ",{}", done)
    return re.sub(r"'(?=')", "'{}", done)


def _words(text: str) -> Iterator[str]:
    """Yield the signs as LaTeX, with places where a line may end inside long words."""
    length = 0
    for number, sign in enumerate(text):
        yield _sign(sign)
        after = text[number + 1 : number + 2]
        if sign == " " or sign in "_/-":
            length = 0
        elif sign == "." and after.isalpha() and text[number - 1 : number].isalnum():
            length = 0
            yield r"\allowbreak{}"
        else:
            length += 1
            if length >= _UNBROKEN and after.isalnum():
                length = 0
                yield r"\allowbreak{}"


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign
    base, *marks = list(unicodedata.normalize("NFD", sign))
    if base.isascii() and base.isalpha() and marks and all(mark in _ACCENTS for mark in marks):
        return _accented(base, marks)
    return f"{{[}}U+{ord(sign):04X}{{]}}"


def _accented(base: str, marks: list[str]) -> str:
    below = [mark for mark in marks if _ACCENTS[mark] in "dcb"]
    above = [mark for mark in marks if mark not in below]
    letter = f"\\{base}" if base in "ij" and above else base
    for mark in (*below, *above):
        letter = f"\\{_ACCENTS[mark]}{{{letter}}}"
    return letter
