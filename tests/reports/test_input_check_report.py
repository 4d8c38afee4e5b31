"""The page of an input check: findings, numbers and pairs of pictures, whole in one file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from medtransfer.core.problems import Problem
from medtransfer.models.input_check import ChannelFacts, InputCheck, SeenImage
from medtransfer.models.source_model import InputContract
from medtransfer.models.statistics_fit import StatisticsFit
from medtransfer.reports.document import Gallery
from medtransfer.reports.input_check_report import contract_facts, input_check_document
from medtransfer.reports.renderers.page import render_page

DARK = Problem("wrong-range", "1 of 2 images (a<b>.png)", "values up to 255", "smaller ones", "Stretch them.")


def checked(channels: int = 3, **fields: object) -> InputCheck:
    grey = channels == 1
    contract = InputContract(size=16, channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels)
    names = ("grey",) if grey else ("red", "green", "blue")
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    seen = np.repeat(((pixels / 255 - 0.5) / 0.25).astype(np.float32)[None], channels, axis=0)
    given: dict[str, object] = {
        "model": "net",
        "contract": contract,
        "images": 2,
        "channels": tuple(ChannelFacts(name, 0.0, 1.15, -2.0, 2.0) for name in names),
        "problems": (),
        "remarks": (),
        "examples": (SeenImage("a<b>.png", pixels, seen),),
    }
    return InputCheck(**{**given, **fields})  # type: ignore[arg-type]


def page(check: InputCheck) -> BeautifulSoup:
    return BeautifulSoup(render_page(input_check_document(check)), "html.parser")


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_shown_decoded_and_seen(channels: int) -> None:
    document = input_check_document(checked(channels))
    (gallery,) = [
        part for section in document.sections for part in section.parts if isinstance(part, Gallery)
    ]
    (pair,) = gallery.groups
    assert [picture.lines[:2] for picture in pair] == [("a<b>.png", "decoded"), ("a<b>.png", "seen")]
    assert "−2.00 is drawn black and 2.00 white" in gallery.title
    for picture in pair:
        assert picture.png is not None
        with Image.open(io.BytesIO(picture.png)) as shown:
            pixels = np.asarray(shown)
        assert pixels.shape == (128, 128, 3)
        assert (pixels[0, 0, 0], pixels[-1, -1, 0]) == (0, 255), "the whole range is used"
    assert len(page(checked(channels)).find_all("img")) == 2


def test_problems_and_remarks_are_said() -> None:
    text = page(checked(problems=(DARK,))).get_text()
    assert "The input is not what the model expects: wrong-range." in text
    assert "1 of 2 images (a<b>.png)" in text
    assert "Stretch them." in text
    assert "some things are worth a look" in page(checked(remarks=(DARK,))).get_text(" ")
    assert "Nothing is wrong as far as can be told" in page(checked()).get_text(" ")


def test_the_fit_is_a_table_only_where_there_is_one() -> None:
    assert "remembers no statistics" in page(checked()).get_text(" ")
    fit = StatisticsFit(0.9, {"the range 0 to 255": 4.0, "ImageNet mean and std": 0.3})
    text = page(checked(fit=fit)).get_text(" ", strip=True)
    assert "as declared" in text
    assert "ImageNet mean and std" in text
    assert "0.30" in text


def test_the_contract_in_words() -> None:
    facts = dict(contract_facts(InputContract(size=32, value_range="minmax")))
    assert facts["Size"] == "32 × 32 pixels"
    assert facts["Range"] == "each image stretched to 0–1"
    assert facts["Mean taken off"] == "0.485, 0.456, 0.406"
    wide = InputContract(channels=1, mean=(0.0,), std=(1.0,), value_range="hounsfield-like")
    assert dict(contract_facts(wide))["Channels"] == "grey"
