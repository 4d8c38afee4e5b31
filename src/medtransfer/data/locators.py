"""How a cell of a case table names pixels: a file, a slice of a volume, several channels, one class of a mask.

A locator is a path below the data folder, or a path after prefixes that say which part of it is
meant. They nest from the left: ``class:2:slice:17:segmentation-3.nii`` is class 2 wherever slice 17
of that volume is not zero.
"""

from __future__ import annotations

from typing import Final

SLICE: Final = "slice"
CLASS: Final = "class"
CHANNELS: Final = "channels"
RUNS: Final = "runs"
EMPTY: Final = "empty"
RAW: Final = "raw"

_JOIN: Final = "|"


def slice_locator(path: str, index: int) -> str:
    """Return the locator of a slice of a NIfTI volume or a frame of a DICOM file.

    Args:
        path: Locator of the volume.
        index: Number of the slice from 0; from inferior, posterior or left, by plane.

    Example:
        >>> slice_locator("volume-3.nii", 17)
        'slice:17:volume-3.nii'
    """
    return f"{SLICE}:{index}:{path}"


def class_locator(mask: str, class_id: int) -> str:
    """Return the locator of a mask whose values above 0 are one class.

    Args:
        mask: Locator of the mask.
        class_id: Class id from 1.

    Example:
        >>> class_locator("masks/heart.gif", 2)
        'class:2:masks/heart.gif'
    """
    return f"{CLASS}:{class_id}:{mask}"


def channels_locator(first: str, second: str, third: str) -> str:
    """Return the locator of an image whose red, green and blue are three grey images.

    Example:
        >>> channels_locator("a.dcm", "b.dcm", "c.dcm")
        'channels:a.dcm|b.dcm|c.dcm'
    """
    return f"{CHANNELS}:{_JOIN.join((first, second, third))}"


def runs_locator(image_id: str, height: int, width: int) -> str:
    """Return the locator of a mask that a table holds as run lengths.

    Example:
        >>> runs_locator("1.2.3", 1024, 768)
        'runs:1024x768:1.2.3'
    """
    return f"{RUNS}:{height}x{width}:{image_id}"


def empty_locator(height: int, width: int) -> str:
    """Return the locator of a mask without any foreground.

    Example:
        >>> empty_locator(1024, 768)
        'empty:1024x768:'
    """
    return f"{EMPTY}:{height}x{width}:"


def raw_locator(path: str) -> str:
    """Return the locator of a square raw file of big-endian 12-bit values in which air is bright.

    Example:
        >>> raw_locator("JPCLN001.IMG")
        'raw:12:JPCLN001.IMG'
    """
    return f"{RAW}:12:{path}"


def split_prefix(locator: str) -> tuple[str, str, str]:
    """Return the outermost prefix, its argument and the rest; two empty texts and the locator without one.

    Example:
        >>> split_prefix("slice:17:volume-3.nii")
        ('slice', '17', 'volume-3.nii')
        >>> split_prefix("plain.png")
        ('', '', 'plain.png')
    """
    kind, _, rest = locator.partition(":")
    if kind in {SLICE, CLASS, RUNS, EMPTY, RAW}:
        argument, colon, inner = rest.partition(":")
        if colon:
            return kind, argument, inner
    return "", "", locator


def channels_of(locator: str) -> tuple[str, ...]:
    """Return the locators of the channels, or the locator alone.

    Example:
        >>> channels_of("channels:a.dcm|b.dcm|c.dcm")
        ('a.dcm', 'b.dcm', 'c.dcm')
    """
    kind, _, rest = locator.partition(":")
    return tuple(rest.split(_JOIN)) if kind == CHANNELS else (locator,)


def volume_of(locator: str) -> str | None:
    """Return the file whose slices a locator is one of, else None; of several channels, the first's.

    Example:
        >>> volume_of("slice:17:volume-3.nii"), volume_of("plain.png")
        ('volume-3.nii', None)
    """
    kind, _, rest = split_prefix(channels_of(locator)[0])
    return rest if kind == SLICE else None


def files_of(locator: str) -> tuple[str, ...]:
    """Return the paths of all files a locator needs; none for an empty mask or run lengths.

    Example:
        >>> files_of("channels:slice:1:a.nii|slice:1:b.nii|slice:1:c.nii")
        ('a.nii', 'b.nii', 'c.nii')
    """
    return tuple(path for part in channels_of(locator) if (path := _file_of(part)) is not None)


def _file_of(locator: str) -> str | None:
    kind, _, rest = split_prefix(locator)
    while kind:
        if kind in {RUNS, EMPTY}:
            return None
        locator = rest
        kind, _, rest = split_prefix(locator)
    return locator
