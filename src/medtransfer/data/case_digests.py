"""The content hashes of everything a case table points at, looked up once for all who need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtransfer.core.errors import BadImageError
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import case_pixels
from medtransfer.data.file_memory import written_together


@dataclass(frozen=True)
class CaseDigests:
    """What the files of a table held at one moment."""

    by_locator: Mapping[str, str]
    """Locator to content hash, of what can be read."""
    bad: Mapping[str, BadImageError]
    """Locator to what is wrong with it, of what cannot."""

    def __getitem__(self, locator: str) -> str:
        if locator in self.bad:
            raise self.bad[locator]
        return self.by_locator[locator]

    def of_table(self, cases: CaseTable) -> str:
        """Return the content hash of the table these are the digests of.

        Raises:
            BadImageError: If a file is missing, unreadable or outside the data folder.
        """
        return cases.content_hash(self.__getitem__)


def case_digests(cases: CaseTable) -> CaseDigests:
    """Return the content hashes of all images, masks and fields of view.

    Raises:
        DataError: If what is known of files cannot be remembered.
    """
    found: dict[str, str] = {}
    bad: dict[str, BadImageError] = {}
    with written_together():
        for locator in dict.fromkeys(part for case in case_pixels(cases) for part in case.locators):
            try:
                found[locator] = cases.source.content_hash(locator)
            except BadImageError as error:
                bad[locator] = error
    return CaseDigests(found, bad)
