from __future__ import annotations

import pytest

from medtransfer.reports.disclosure import hide_places, without_places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann/scans/a.png: truncated", "…/a.png: truncated"),
        ('cannot read "/home/ann lee/a b.png"', 'cannot read "…/a b.png"'),
        ("in /home/ann lee/my scans/masks/x", "in …/x"),
        (r"C:\Users\ann\a.png is empty", "…/a.png is empty"),
        (r"\\server\share\a.png", "…/a.png"),
        ("~ann/secret/a.png", "…/a.png"),
        ("--data=/srv/x --out /tmp/y", "--data=…/x --out …/y"),
        ("sqlite:////home/ann/s.db", "sqlite:…/s.db"),
        ("file:/home/ann/w.pth?arch=resnet18&prefix=a.", "file:…/w.pth?arch=resnet18&prefix=a."),
        ("postgresql://ann:secret@host:5432/studies", "postgresql://…@host:5432/studies"),
        ("postgresql+psycopg://ann@host/studies", "postgresql+psycopg://…@host/studies"),
    ],
)
def test_places_and_passwords_are_cut(text: str, expected: str) -> None:
    assert hide_places(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10 of 20 and/or 3/4",
        "AUC / Dice",
        "hf-hub:org/model",
        "timm/resnet50.a1_in1k",
        "https://medmnist.com/data",
        "train_images/17",
        "data/relative/file.png",
        "…/already.png",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert hide_places(text) == text


def test_values_at_any_depth_are_cut() -> None:
    value = {"/root/key": ["/root/a/b", {"c": ("/root/d", 1, None, 0.5, True)}]}
    assert without_places(value) == {"…/key": ["…/b", {"c": ["…/d", 1, None, 0.5, True]}]}
