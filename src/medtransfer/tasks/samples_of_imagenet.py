"""A synthetic copy of ImageNet-1k: tiny coloured patterns, few per class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from medtransfer.core.seeds import generator
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.sample_files import write_table

_SIDE: Final = 20
_MANY_EVERY: Final = 10
_IMAGES: Final = {True: (3, 4), False: (1, 2)}
_PNG_CLASS: Final = "n02105855"


def write_imagenet_sample(root: Path, classes: Sequence[str]) -> None:
    """Write one training and two validation images per class, three and four for every tenth class.

    Validation images lie in one folder, with their labels in a table.

    Args:
        root: Folder to write into.
        classes: WordNet ids.
    """
    (root / "val").mkdir(parents=True, exist_ok=True)
    solution = []
    for number, wnid in enumerate(classes):
        in_training, in_validation = _IMAGES[number % _MANY_EVERY == 0]
        folder = root / "train" / wnid
        folder.mkdir(parents=True, exist_ok=True)
        for image in range(in_training):
            stem = f"{wnid}_{2933 + 7 * image}"
            _write(folder / f"{stem}.JPEG", number, image, png=wnid == _PNG_CLASS)
        for image in range(in_validation):
            place = 1 + number + image * len(classes)
            _write(root / "val" / f"ILSVRC2012_val_{place:08}.JPEG", number, 10 + image)
            box = f"{wnid} 2 3 {_SIDE - 2} {_SIDE - 1}"
            solution.append((f"ILSVRC2012_val_{place:08}", " ".join([box] * (1 + number % 2)) + " "))
    write_table(
        root / "LOC_val_solution.csv", ("ImageId", "PredictionString"), sorted(solution, reverse=True)
    )


def _write(path: Path, class_number: int, image: int, *, png: bool = False) -> None:
    """Write a picture; every twelfth class has grey ones."""
    from PIL import Image

    picture = Image.fromarray(_draw(class_number, image))
    stream = io.BytesIO()
    mode = "L" if class_number % 12 == 7 and image % 2 else "RGB"
    picture.convert(mode).save(stream, format="PNG" if png else "JPEG")
    path.write_bytes(stream.getvalue())


def _draw(class_number: int, image: int) -> UInt8Array:
    """Return stripes (S, S, 3) whose colour, direction and width depend on the class."""
    rng = generator("imagenet", class_number, image)
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE]
    angle = np.pi * (class_number % 9) / 9
    along = rows * np.cos(angle) + columns * np.sin(angle) + rng.uniform(0, 6)
    stripes = np.sin(along * (0.5 + 0.15 * (class_number % 7)))[..., None]
    turns = class_number * 0.618 + np.array([0, 1, 2]) / 3
    colour = 128 + 100 * np.cos(2 * np.pi * turns)
    painted = colour + 35 * stripes + rng.normal(0, 10, (_SIDE, _SIDE, 3))
    return np.asarray(np.clip(painted, 0, 255), dtype=np.uint8)
