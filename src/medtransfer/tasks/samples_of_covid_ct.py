"""A synthetic copy of COVID-CT: slices drawn from formulas, in the files and modes the data set mixes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from medtransfer.core.seeds import generator
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.sample_files import write_lines

_PAPERS: Final = {"train": 9, "val": 3, "test": 5}
_FIGURES: Final = 2


def write_covid_ct_sample(root: Path) -> None:
    """Write 34 slices of 17 made-up publications per class, their lists, and all the file modes there are.

    COVID files are PNG in grey, colour, or colour with transparency, and some hold JPEG data; the
    others are JPEG and PNG, numbered.

    Args:
        root: Folder to write into.
    """
    for kind in ("COVID", "NonCOVID"):
        paper = 0
        for split, papers in _PAPERS.items():
            names: list[str] = []
            for _ in range(papers):
                figures = _names(kind, paper)
                for figure, name in enumerate(figures):
                    pixels = _draw_slice(paper, figure, covid=kind == "COVID")
                    _write(root / "Images-processed" / f"CT_{kind}" / name, pixels, paper)
                names += figures
                paper += 1
            write_lines(root / "Data-split" / kind / f"{split}CT_{kind}.txt", [*names, ""])


def _names(kind: str, paper: int) -> list[str]:
    """Return file names as the data set makes them: by page of a paper, or a number with parts."""
    if kind == "COVID":
        return [
            f"2020.02.{paper + 1:02}.200{paper:05}-p{paper + 3}-{40 + paper}%{k}.png" for k in range(_FIGURES)
        ]
    if paper % 3 == 2:
        return [f"{1000 + 2 * paper + k}.png" for k in range(_FIGURES)]
    return [f"{paper}%{k}.jpg" for k in range(_FIGURES)]


def _write(path: Path, grey: UInt8Array, paper: int) -> None:
    """Write grey values in the mode that comes next in turn."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(grey)
    if path.suffix == ".jpg" or paper % 4 == 3:
        image.convert("RGB").save(path, format="JPEG", quality=92)
    else:
        image.convert(("L", "RGB", "RGBA")[paper % 4]).save(path, format="PNG")


def _draw_slice(paper: int, figure: int, *, covid: bool) -> UInt8Array:
    """Return a slice through a chest (H, W) of a size of its own; with clouded lungs where ``covid``."""
    rng = generator("covid-ct", paper, figure, int(covid))
    height, width = int(rng.integers(48, 60)), int(rng.integers(60, 72))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = 2 * rows / (height - 1) - 1, 2 * columns / (width - 1) - 1
    grey = np.where(np.hypot(x / 0.95, y / 0.9) < 1, 150.0, 5.0)
    lungs = np.zeros((height, width), dtype=bool)
    for side in (-1, 1):
        middle = side * rng.uniform(0.4, 0.46)
        lungs |= np.hypot((x - middle) / rng.uniform(0.3, 0.36), (y + 0.05) / rng.uniform(0.55, 0.65)) < 1
    grey[lungs] = 35
    if covid:
        noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 4)
        clouds = np.clip(2.5 * (noise - np.quantile(noise[lungs], 0.55)) / noise.std(), 0, 1)
        grey += 85 * clouds * lungs
    grey[np.hypot(x / 0.13, (y - 0.6) / 0.16) < 1] = 235
    grey = cv2.GaussianBlur(grey, (0, 0), 0.7) + rng.normal(0, 7, grey.shape)
    return np.asarray(np.clip(grey, 0, 255), dtype=np.uint8)
