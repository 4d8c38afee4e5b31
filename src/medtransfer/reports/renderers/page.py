"""One self-contained HTML page: opens from disk, loads nothing, runs only its own scripts."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from medtransfer.reports.document import Document
from medtransfer.reports.figures.chart import DARK_PALETTE, LIGHT_PALETTE
from medtransfer.reports.figures.plotly_drawing import draw_plotly
from medtransfer.reports.renderers.templating import asset, render_template, script_json


def render_page(document: Document) -> str:
    """Return a document as HTML; the same document gives the same text.

    A content security policy allows the page's own scripts by their digests and nothing else;
    styles are allowed in place because plotly sets them.
    """
    charts = {chart.id: draw_plotly(chart) for chart in document.charts()}
    scripts = [asset("theme.js")]
    if charts:
        scripts += [get_plotlyjs(), asset("charts.js")]
    return render_template(
        "report.html",
        document=document,
        root="",
        pictures={},
        policy=_policy(scripts),
        style=Markup(asset("report.css")),  # noqa: S704 - our own file
        theme=_script(scripts[0]),
        scripts=[_script(text) for text in scripts[1:]],
        charts=script_json({"figures": charts, "light": LIGHT_PALETTE, "dark": DARK_PALETTE})
        if charts
        else None,
    )


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
