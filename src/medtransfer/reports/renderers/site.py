"""The report as a folder of HTML pages that share their scripts and styles; opens from disk, offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plotly.offline import get_plotlyjs

from medtransfer.reports.figures.chart import DARK_PALETTE, LIGHT_PALETTE
from medtransfer.reports.figures.plotly_drawing import draw_plotly
from medtransfer.reports.renderers.templating import asset, render_template, script_json
from medtransfer.reports.site.page import Site, SitePage

GENERATOR = "medtransfer report"
"""What every page says it was made by, so that no report is written over somebody else's page."""

_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
)


def render_site(site: Site, pictures: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a site by their address from its root; see :func:`site_files`."""
    return dict(site_files(site, pictures))


def site_files(site: Site, pictures: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the files of a site, address from its root and text; the same site gives the same files.

    Each page is composed, drawn and let go before the next. A content security policy lets a page run
    the scripts that lie beside it and nothing else: none in the page, none from a network. Styles are
    allowed in place because plotly sets them.

    Args:
        site: The pages.
        pictures: Addresses of the charts that were drawn as pictures too, by chart id; they are
            shown where scripts do not run.
    """
    for page in site.pages:
        yield page.address, _page(site, page, pictures)
    yield "assets/plotly.min.js", get_plotlyjs()
    yield "assets/site.css", asset("report.css") + asset("site.css")
    for name in ("theme.js", "charts.js", "site.js"):
        yield f"assets/{name}", asset(name)


def _page(site: Site, page: SitePage, pictures: Mapping[str, str]) -> str:
    charts = {chart.id: draw_plotly(chart) for chart in page.document.charts()}
    return render_template(
        "site_page.html",
        study=site.study,
        menu=site.menu,
        page=page,
        document=page.document,
        root=page.root,
        pictures=pictures,
        policy=_POLICY,
        generator=GENERATOR,
        charts=script_json({"figures": charts, "light": LIGHT_PALETTE, "dark": DARK_PALETTE})
        if charts
        else None,
    )
