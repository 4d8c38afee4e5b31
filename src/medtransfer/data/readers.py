"""From one file to one uint8 array, by content and not by name; every refusal is a :class:`BadImageError`."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from medtransfer.core.errors import BadImageError
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.inside_root import checked_inside
from medtransfer.data.mask_rule import MaskColours, MaskRule, apply_mask_rule

FORMATS: Final = ("PNG", "JPEG", "TIFF", "GIF")
MAX_PIXELS: Final = 89_478_485
MAX_SIDE: Final = 65_535

_GREY: Final = frozenset({"1", "L", "LA"})
_COLOUR: Final = frozenset({"RGB", "RGBA", "P", "PA", "CMYK"})
_DEEP: Final = frozenset({"I;16", "I;16L", "I;16B", "I", "F"})
_WITH_ALPHA: Final = frozenset({"LA", "RGBA", "PA"})
_DECODER_ERRORS: Final = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's decoders were seen or are documented to raise on damaged bytes."""


def read_image(path: Path, *, root: Path | None = None) -> UInt8Array:
    """Return the pixels of a PNG, JPEG, TIFF or GIF file.

    Pixels are taken as stored: an alpha channel is dropped, not blended, and an orientation tag
    is not applied, so that image and mask stay aligned. Images of more than 8 bits per grey
    value are stretched per image, from their minimum and maximum to 0 and 255; images of 16 bits
    per colour keep their upper 8 bits.

    Args:
        path: File to read; the format is found from its content, whatever its name ends with.
        root: Folder the file must lie in, after links are followed.

    Returns:
        Shape (H, W) for images in grey or with a grey palette, else (H, W, 3); values in [0, 255].

    Raises:
        BadImageError: If the file is missing, damaged, cut off, outside ``root``, of another
            format or mode, has several pictures, or is larger than ``MAX_PIXELS`` or ``MAX_SIDE``.
    """
    return read_picture(
        path if root is None else checked_inside(root, path, _name(path, root)), _name(path, root)
    )


def read_picture(path: Path, name: str) -> UInt8Array:
    """Return the pixels of a file as :func:`read_image` does, wherever it lies.

    Args:
        path: File to read.
        name: What to call it in a message.

    Raises:
        BadImageError: As for :func:`read_image`.
    """
    image = _decode(path, name)
    if image.mode in _DEEP:
        return _stretched(np.array(image), name)
    mode = "L" if image.mode in _GREY or _has_grey_palette(image) else "RGB"
    return np.array(image if image.mode == mode else image.convert(mode), dtype=np.uint8)


def read_mask(path: Path, *, root: Path | None = None, rule: MaskRule = "nonzero") -> UInt8Array:
    """Return the class ids of a mask file.

    Stored values count: 0 and 1 for one-bit masks, the palette index for palettes in colour and
    the grey value for grey ones; colours where the rule names colours.

    Args:
        path: File to read, as in :func:`read_image`.
        root: Folder the file must lie in, after links are followed.
        rule: What the stored values mean.

    Returns:
        Shape (H, W), uint8; 0 is background, k + 1 is class k.

    Raises:
        BadImageError: As in :func:`read_image`; also for values the rule does not declare, for
            transparency, for colours under a mapping, and for a blurred JPEG under ``nonzero``.
    """
    name = _name(path, root)
    image = _decode(path if root is None else checked_inside(root, path, name), name)
    if isinstance(rule, MaskColours):
        return apply_mask_rule(np.array(image.convert("RGB")), rule, name)
    values = _mask_values(image, name)
    if values.ndim == 3:
        if rule != "nonzero" and np.ptp(values, axis=2).any():
            raise BadImageError(f"{name}: expected a grey mask, got colours. Store class values instead.")
        values = values.max(axis=2)
    if (
        rule == "nonzero"
        and image.format not in ("PNG", "TIFF", "GIF")
        and np.any((values > 0) & (values < 255))
    ):
        raise BadImageError(
            f"{name}: expected the mask values 0 and 255, got values between them in a lossy JPEG. "
            "Store the mask as PNG, or use the mask rule 'above-half'."
        )
    return apply_mask_rule(values, rule, name)


def _name(path: Path, root: Path | None) -> str:
    """Return what to call the file in messages: its path below the root, or its name alone."""
    return path.name if root is None or not path.is_relative_to(root) else path.relative_to(root).as_posix()


def _decode(path: Path, name: str) -> Image.Image:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise BadImageError(
            f"{name}: expected Pillow to refuse cut-off files, got LOAD_TRUNCATED_IMAGES. Unset it."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # odd metadata; pixels that are damaged raise
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _load(path, name)
    except BadImageError:
        raise
    except _DECODER_ERRORS as error:
        raise BadImageError(
            f"{name}: expected a readable {', '.join(FORMATS)} file, got {_reason(error)}. Replace the file."
        ) from error


def _reason(error: BaseException) -> str:
    """Return what went wrong without the absolute path some messages carry."""
    if isinstance(error, UnidentifiedImageError):
        return "content of another kind"
    return str(getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")


def _load(path: Path, name: str) -> Image.Image:
    if not path.is_file():
        raise BadImageError(f"{name}: expected a file, got none. Check the path and the data folder.")
    with path.open("rb") as stream:
        image = Image.open(stream, formats=FORMATS)
        _check_declared(image, name)
        if image.format == "PNG":
            image.verify()  # loading alone skips the checksums of the pixel data
            stream.seek(0)
            image = Image.open(stream, formats=FORMATS)
        image.load()
    return image


def _check_declared(image: Image.Image, name: str) -> None:
    width, height = image.size
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise BadImageError(
            f"{name}: expected at most {MAX_PIXELS} pixels and {MAX_SIDE} per side, got {width} x {height}. "
            "Make the image smaller."
        )
    if image.mode not in _GREY | _COLOUR | _DEEP:
        raise BadImageError(
            f"{name}: expected a grey, palette or RGB image, got mode {image.mode!r}. Convert it."
        )
    frames = getattr(image, "n_frames", 1)
    if frames != 1 and image.format != "MPO":  # the first picture of an MPO file is a whole JPEG
        raise BadImageError(
            f"{name}: expected one picture, got {frames}. Store each picture as its own file."
        )


def _stretched(values: npt.NDArray[Any], name: str) -> UInt8Array:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadImageError(f"{name}: expected finite pixel values, got NaN or infinity.")
    exact = values.astype(np.float64)
    low, high = float(exact.min()), float(exact.max())
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    return np.rint((exact - low) * (255.0 / (high - low))).astype(np.uint8)


def _has_grey_palette(image: Image.Image) -> bool:
    palette = image.getpalette("RGB")
    return palette is not None and not np.ptp(np.array(palette).reshape(-1, 3), axis=1).any()


def _mask_values(image: Image.Image, name: str) -> npt.NDArray[Any]:
    transparent = "transparency" in image.info
    if image.mode in _WITH_ALPHA or transparent:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() != alpha.max():
            raise BadImageError(
                f"{name}: expected a mask without transparency, got an alpha channel that varies."
            )
    if image.mode in ("P", "PA"):
        return np.array(image.convert("L") if _has_grey_palette(image) else image.getchannel(0))
    if image.mode in ("LA", "RGBA"):
        return np.array(image.convert(image.mode[:-1]))
    return np.array(image)
