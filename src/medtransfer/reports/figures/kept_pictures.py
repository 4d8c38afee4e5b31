"""Pictures that are drawn again only when their chart, or the way of drawing it, has changed."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from medtransfer.core.fingerprints import hash_json
from medtransfer.reports.figures.chart import Chart

DRAWING_REVISION = 2
"""Raised whenever the same chart would give another picture."""

_KEY = "medtransfer-chart"
_END = b"IEND\xaeB`\x82"


def picture(chart: Chart, path: Path) -> bytes:
    """Return the picture of a chart: what is at ``path`` when it is of this chart, else a new one.

    A picture carries the digest of its chart, so a report that is written again draws only what is new.

    Args:
        chart: What to show.
        path: Where an earlier report may have left its picture.
    """
    digest = hash_json(
        {"chart": asdict(chart), "revision": DRAWING_REVISION, "matplotlib": version("matplotlib")}
    )
    kept = _kept(path, digest)
    if kept is not None:
        return kept
    from medtransfer.reports.figures.picture_drawing import draw_png

    return draw_png(chart, {_KEY: digest})


def _kept(path: Path, digest: str) -> bytes | None:
    """Return a whole picture that carries the digest, or None."""
    try:
        with Image.open(path, formats=["PNG"]) as found:
            of_chart = found.info.get(_KEY) == digest
        content = path.read_bytes() if of_chart else b""
    except (OSError, UnidentifiedImageError):
        return None
    return content if content.endswith(_END) else None
