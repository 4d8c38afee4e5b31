"""The report as one self-contained HTML page: opens from disk, loads nothing, runs only its own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from medtransfer.reports.document import Document, Facts, Gallery, Listing, Notice, Paragraph, Part, Terms
from medtransfer.reports.figures.chart import DARK_PALETTE, LIGHT_PALETTE, Chart
from medtransfer.reports.figures.plotly_drawing import draw_plotly
from medtransfer.reports.printable import printable
from medtransfer.reports.tables.table import Table

_KINDS = {
    Paragraph: "paragraph",
    Notice: "notice",
    Facts: "facts",
    Terms: "terms",
    Listing: "listing",
    Gallery: "gallery",
    Table: "table",
    Chart: "chart",
}
_BREAKS = "_./:-,"


def render_page(document: Document) -> str:
    """Return the report as HTML; the same report gives the same text.

    A content security policy allows the page's own scripts by their digests and nothing else;
    styles are allowed in place because plotly sets them.
    """
    charts = {chart.id: draw_plotly(chart) for chart in document.charts()}
    scripts = [_asset("theme.js")]
    if charts:
        scripts += [get_plotlyjs(), _asset("charts.js")]
    return (
        _environment()
        .get_template("report.html")
        .render(
            document=document,
            policy=_policy(scripts),
            style=Markup(_asset("report.css")),  # noqa: S704 - our own file
            theme=_script(scripts[0]),
            scripts=[_script(text) for text in scripts[1:]],
            charts=script_json({"figures": charts, "light": LIGHT_PALETTE, "dark": DARK_PALETTE})
            if charts
            else None,
        )
    )


def script_json(value: Any) -> Markup:
    r"""Return JSON that cannot end the script element it stands in.

    Example:
        >>> print(script_json("</script>\u2028"))
        "\u003c/script\u003e\u2028"
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def breakable(text: str) -> Markup:
    """Return escaped text that may break after punctuation, as long model names must in narrow columns."""
    pieces = [escape(sign) + Markup("<wbr>") if sign in _BREAKS else escape(sign) for sign in printable(text)]
    return Markup("").join(pieces)


def _kind(part: Part) -> str:
    return _KINDS[type(part)]


def _data_address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _policy(scripts: list[str]) -> str:
    digests = " ".join(f"'sha256-{_digest(text)}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - our own files and plotly's


def _asset(name: str) -> str:
    return (resources.files("medtransfer.reports") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": _kind,
        "data_address": _data_address,
        "breakable": breakable,
        "printable": printable,
    }
    return environment
