"""Templates of pages, with everything escaped that comes from a study."""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from medtransfer.reports.document import (
    Facts,
    Gallery,
    Listing,
    Matrix,
    Notice,
    Paragraph,
    Part,
    Terms,
)
from medtransfer.reports.figures.chart import Chart
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
    Matrix: "matrix",
}
_BREAKS = re.compile(r"[_./:,-]")


def render_template(name: str, **values: Any) -> str:
    """Return a template filled with values; text is escaped, a missing value is an error."""
    return _environment().get_template(name).render(**values)


def asset(name: str) -> str:
    """Return one of our own script, style or template files."""
    return (resources.files("medtransfer.reports") / "templates" / name).read_text(encoding="utf-8")


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
    """Return escaped text that may break after punctuation, as long model names must in narrow columns.

    Example:
        >>> print(breakable("a_<b>"))
        a_<wbr>&lt;b&gt;
    """
    escaped = str(escape(printable(text)))  # no entity holds one of these signs
    return Markup(_BREAKS.sub(r"\g<0><wbr>", escaped))  # noqa: S704 - escaped above


def _kind(part: Part) -> str:
    return _KINDS[type(part)]


def _data_address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
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
