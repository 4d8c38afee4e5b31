"""Files before they are written, and what is composed on demand."""

from __future__ import annotations

import gc
from typing import Any

from medtransfer.reports.on_demand import OnDemand
from medtransfer.reports.rendered_files import RenderedFiles
from medtransfer.reports.renderers.site import site_files
from medtransfer.reports.site.compose_site import compose_site
from medtransfer.reports.site.page import SitePage


def test_contents_come_back_as_they_were_given() -> None:
    files = RenderedFiles()
    texts = {"empty": [], "one": ["é ▪\r\n"], "many": [f"row {n}, ≡\n" for n in range(50_000)]}
    for address, parts in texts.items():
        files.add_text(address, iter(parts))
    files.add_picture("p.png", b"\x89PNG")
    expected = {address: "".join(parts).encode() for address, parts in texts.items()}
    assert dict(files) == expected | {"p.png": b"\x89PNG"}
    assert len(files) == 4
    assert all(b"".join(files.parts(address)) == content for address, content in files.items())


def test_a_large_text_is_held_and_given_in_small_pieces() -> None:
    files = RenderedFiles()
    files.add_text("long", (f"{number} 0.8125,0.8125,0.8125\n" for number in range(100_000)))
    whole = len(files["long"])
    assert sum(map(len, files._texts.values())) < whole / 5
    assert max(map(len, files.parts("long"))) < whole


def test_members_on_demand_are_made_each_time_and_not_kept() -> None:
    made = []

    def make(number: int) -> int:
        made.append(number)
        return number * 10

    members = OnDemand([lambda: make(1), lambda: make(2), lambda: make(3)])
    assert len(members) == 3
    assert made == []
    assert (members[-1], list(members[:2]), list(members.each(str))) == (30, [10, 20], ["10", "20", "30"])
    assert made == [3, 1, 2, 1, 2, 3]


def test_one_page_at_a_time_is_in_memory(reading: Any) -> None:
    gc.collect()
    before = sum(type(each) is SitePage for each in gc.get_objects())
    site = compose_site(reading)
    alive = []
    for _ in site_files(site, {}):
        gc.collect()
        alive.append(sum(type(each) is SitePage for each in gc.get_objects()) - before)
    assert len(site.pages) > 8
    assert max(alive) <= 1
