"""A decomposition is computed once per features and cases, and gives the score it gave before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from medtransfer.transferability import kept_decomposition
from medtransfer.transferability.h_score import shrinkage_h_score
from medtransfer.transferability.kept_decomposition import open_decomposition
from medtransfer.transferability.logme import logme

DIGITS, NUMBERS = load_digits(return_X_y=True)
FEATURES = (DIGITS / 16).astype(np.float32)


@pytest.mark.parametrize("cases", [40, 500])
def test_the_kept_decomposition_gives_the_same_score(
    tmp_path: Path, cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(cases)
    first = open_decomposition(tmp_path, "k", FEATURES, rows)
    monkeypatch.setattr(kept_decomposition, "decompose", lambda _: pytest.fail("decomposed again"))
    again = open_decomposition(tmp_path, "k", FEATURES, rows)
    fresh = logme(FEATURES[rows], NUMBERS[rows])
    assert logme(FEATURES[rows], NUMBERS[rows], first) == fresh
    assert logme(FEATURES[rows], NUMBERS[rows], again) == fresh
    of_all = shrinkage_h_score(FEATURES[rows], NUMBERS[rows])
    of_kept = shrinkage_h_score(FEATURES[rows], NUMBERS[rows], again)
    assert of_kept.value == pytest.approx(of_all.value, rel=1e-7)


def test_other_features_and_other_cases_have_their_own(tmp_path: Path) -> None:
    for key, rows in (
        ("k", np.arange(70)),
        ("k", np.arange(80)),
        ("other", np.arange(70)),
        ("k", np.arange(70)),
    ):
        open_decomposition(tmp_path, key, FEATURES, rows)
    assert len(list(tmp_path.glob("*.json"))) == 3
