"""Images and masks that are files below one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medtransfer.core.fingerprints import hash_json
from medtransfer.data.content_hashes import content_hash_of_file
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.inside_root import path_inside, refuse_absolute
from medtransfer.data.mask_rule import MaskRule, check_mask_rule
from medtransfer.data.readers import read_image, read_mask


@dataclass(frozen=True)
class FileSource:
    """Reads files named by their path below a folder; picklable."""

    root: Path
    """Folder no locator may leave."""
    mask_rule: MaskRule = "nonzero"
    """What stored mask values mean."""

    def __post_init__(self) -> None:
        check_mask_rule(self.mask_rule)

    def read_image(self, locator: str) -> UInt8Array:
        """Return the image, shape (H, W) or (H, W, 3), uint8; see :func:`.readers.read_image`.

        Raises:
            BadImageError: If the file is missing, damaged, too large or outside the folder.
        """
        return read_image(self._path(locator), root=self.root)

    def read_mask(self, locator: str) -> UInt8Array:
        """Return the class ids, shape (H, W), uint8; see :func:`.readers.read_mask`.

        Raises:
            BadImageError: As for images, or when a value is not declared.
        """
        return read_mask(self._path(locator), root=self.root, rule=self.mask_rule)

    def content_hash(self, locator: str) -> str:
        """Return a digest of the file's bytes and, unless it is the usual one, of the mask rule.

        Raises:
            BadImageError: If the file is missing, unreadable or outside the folder.
        """
        return with_mask_rule(content_hash_of_file(path_inside(self.root, locator)), self.mask_rule)

    def describe(self, locator: str) -> str:
        """Return the path below the folder."""
        return locator

    def _path(self, locator: str) -> Path:
        refuse_absolute(locator)
        return self.root / locator


def with_mask_rule(digest: str, rule: MaskRule) -> str:
    """Return a digest that also changes with a mask rule other than ``nonzero``."""
    if rule == "nonzero":
        return digest
    meaning = sorted(rule.items()) if isinstance(rule, Mapping) else rule
    return hash_json([digest, meaning])
