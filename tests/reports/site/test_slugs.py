from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from medtransfer.reports.site.slugs import slug, slugs

SAFE = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
names = st.text(max_size=120) | st.text("ab-._/C", max_size=12)


@given(names)
def test_a_slug_is_a_safe_file_name(name: str) -> None:
    made = slug(name)
    assert SAFE.fullmatch(made)
    assert ".." not in made
    assert len(made) <= 80
    assert made.partition(".")[0] not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


@given(names, names)
def test_other_names_have_other_slugs_where_case_does_not_count(one: str, other: str) -> None:
    assert (slug(one).lower() == slug(other).lower()) is (one == other)


def test_names_of_models_and_tasks_stay_as_they_are() -> None:
    for name in ("resnet50.mocov2_in1k", "breastmnist", "ct-body-region", "vit_base_patch16_224.mae"):
        assert slug(name) == name


def test_no_name_passes_for_another_one_with_its_digest() -> None:
    made = slug("Über")
    assert slug(made) != made


def test_surrogates_and_their_escapes_differ() -> None:
    assert slug("\ud800") != slug("\\ud800")


def test_a_slug_does_not_depend_on_the_others_unless_a_name_repeats() -> None:
    assert slugs({"1": "a b"})["1"] == slugs({"1": "a b", "2": "a c"})["1"] == slug("a b")
    made = slugs({"1": "chest", "2": "chest", "3": "skin"})
    assert made["3"] == "skin"
    assert len(set(made.values())) == 3
    assert all(SAFE.fullmatch(found) for found in made.values())
    assert slugs({"2": "chest", "1": "chest"}) == {"2": made["2"], "1": made["1"]}
