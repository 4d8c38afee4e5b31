"""A synthetic copy of JSRT and SCR: drawn films as raw files, with the masks of five structures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.sample_files import write_picture
from medtransfer.tasks.sample_gifs import write_gif_mask

_FILMS: Final = {"JPCLN": 30, "JPCNN": 18}
_SIDE: Final = 96
_TOP: Final = 4095


def write_jsrt_sample(root: Path) -> None:
    """Write 48 films of 96 x 96 pixels with masks of 48 x 48, some films converted to PNG.

    Args:
        root: Folder to write into.
    """
    root.mkdir(parents=True, exist_ok=True)
    for kind, number_of_films in _FILMS.items():
        for number in range(1, number_of_films + 1):
            name = f"{kind}{number:03}"
            light, masks = _draw_film(name, nodule=kind == "JPCLN")
            if number % 6 == 5:
                write_picture(root / f"{name}.IMG.png", np.rint(255 * light).astype(np.uint8))
            else:
                (root / f"{name}.IMG").write_bytes(np.rint(_TOP * (1 - light)).astype(">u2").tobytes())
            fold = "fold1" if number % 2 else "fold2"
            for structure, mask in masks.items():
                write_gif_mask(root / fold / "masks" / structure / f"{name}.gif", mask)


def _draw_film(name: str, *, nodule: bool) -> tuple[npt.NDArray[np.float64], dict[str, UInt8Array]]:
    """Return a film (S, S) with values in [0, 1], air dark, and masks (S / 2, S / 2) by structure."""
    rng = generator("jsrt", name)
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE] / (_SIDE - 1)
    shift = rng.uniform(-0.03, 0.03, 2)
    y, x = rows - shift[0], columns - shift[1]
    inside = {
        "right lung": np.hypot((x - 0.28) / rng.uniform(0.15, 0.18), (y - 0.48) / 0.33) < 1,
        "left lung": np.hypot((x - 0.72) / rng.uniform(0.15, 0.18), (y - 0.48) / 0.33) < 1,
        "heart": np.hypot((x - 0.56) / rng.uniform(0.15, 0.2), (y - 0.66) / 0.16) < 1,
        "right clavicle": _bar(x - 0.29, y - 0.2, rng.uniform(-0.35, -0.15)),
        "left clavicle": _bar(x - 0.71, y - 0.2, rng.uniform(0.15, 0.35)),
    }
    light = np.full((_SIDE, _SIDE), 0.6)
    light[inside["right lung"] | inside["left lung"]] = 0.22
    light[inside["heart"]] = 0.75
    light[inside["right clavicle"] | inside["left clavicle"]] += 0.2
    if nodule:
        place = rng.uniform(0.35, 0.55)
        light += 0.25 * (np.hypot(x - 0.28, y - place) < 0.05)
    light = cv2.GaussianBlur(light, (0, 0), 1.2) + rng.normal(0, 0.02, light.shape)
    return np.clip(light, 0, 1), {part: mask[::2, ::2].astype(np.uint8) for part, mask in inside.items()}


def _bar(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], slope: float) -> npt.NDArray[np.bool_]:
    """Return a slanted bar around the origin."""
    return np.asarray((np.abs(y - slope * x) < 0.035) & (np.abs(x) < 0.17))
