"""Every file is decoded once from files to records, and nothing about the records depends on it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medtransfer.core.errors import DataError, StoreError
from medtransfer.core.fingerprints import hash_file, hash_json
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import cache_building, decoding_pass
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.study.session import RunRequest, StudySession
from medtransfer.study.study import Study

QUICK = {"epochs": 1, "batch_size": 8}
STUDY: dict[str, Any] = {
    "name": "once",
    "models": ["resnet20.random"],
    "seeds": 1,
    "blocks": [
        {
            "tasks": [{"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}],
            "protocols": [
                {"linear": {"image_size": 32}},
                {"knn": {"image_size": 32}},
                {"finetune": {"image_size": 48, **QUICK}},
            ],
        },
        {
            "tasks": [{"outlines": {"root": "outlines", "images": "images", "masks": "masks"}}],
            "protocols": [
                {"finetune": {"image_size": 32, "decoder_channels": [8, 8], **QUICK}},
                {"linear": {"image_size": 64, "decoder_channels": [8, 8], **QUICK}},
            ],
        },
    ],
}
SIDES = {"lesions": {37, 55}, "outlines": {32, 64}}
"""What the protocols keep: an eighth more than they see for labels, what they see for masks."""


@pytest.fixture
def data(lesions: Path) -> Path:
    """The drawn lesions, and discs in noise with their outlines."""
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (lesions / "outlines" / folder).mkdir(parents=True)
    for number in range(24):
        disc = np.zeros((40, 44), dtype=np.uint8)
        cv2.circle(disc, tuple(random.integers(14, 26, 2).tolist()), 9, 255, -1)
        noisy = np.clip(disc * 0.5 + random.integers(0, 99, disc.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(lesions / "outlines" / "images" / f"{number:02}.png"), noisy)
        cv2.imwrite(str(lesions / "outlines" / "masks" / f"{number:02}.png"), disc)
    return lesions


@pytest.fixture
def prepare(data: Path, tmp_path: Path) -> Callable[..., StudySession]:
    def call(place: str, *, plan_only: bool = False, **options: Any) -> StudySession:
        folders = {"store": str(tmp_path / place / "store"), "cache": tmp_path / place / "cache"}
        request = RunRequest(**{"data": data, "workers": 0, **folders, **options})
        return StudySession.prepare(Study.parse(STUDY), request, plan_only=plan_only)

    return call


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is decoded from here on."""
    return count_reads(monkeypatch, "read_image", "read_mask")


@pytest.fixture
def image_reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The same, of images alone: masks of scored cases are read again in their own size."""
    return count_reads(monkeypatch, "read_image")


def count_reads(monkeypatch: pytest.MonkeyPatch, *names: str) -> Counter[str]:
    seen: Counter[str] = Counter()
    for name in names:
        read = getattr(FileSource, name)

        def counted(self: FileSource, locator: str, read: Any = read) -> np.ndarray:
            seen[f"{self.root.name}/{locator}"] += 1
            return read(self, locator)

        monkeypatch.setattr(FileSource, name, counted)
    return seen


def tables(session: StudySession) -> dict[str, CaseTable]:
    return {trial.task.task.name: trial.task.cases for trial in session.trials}


def results(session: StudySession) -> list[tuple[Any, ...]]:
    records = session.store.records("once")
    return [
        (r.description, r.state, r.outcome.metrics, r.outcome.curve, r.outcome.choices, r.predictions_sha256)
        for r in records
    ]


def decoded_files(cache: Path) -> dict[str, str]:
    return {
        path.relative_to(cache).as_posix(): hash_file(path)
        for path in (cache / "decoded").rglob("*.*")
        if path.suffix in {".npy", ".json"}
    }


def write_former_cache(cases: CaseTable, side: int, cache: Path) -> None:
    """Write a decoded cache the way it was made by itself: one read per image, per mask and per side."""
    columns = ["image", "mask"] if cases.kind is TaskKind.SEGMENTATION else ["image"]
    locators = [
        [row[0], *(row[1] if len(row) > 1 else ())] for row in cases.frame[columns].to_numpy().tolist()
    ]
    hashes = [[cases.source.content_hash(part) for part in row] for row in locators]
    key = hash_json({"revision": 1, "side": side, "contents": hashes})
    folder = cache / "decoded" / key
    folder.mkdir(parents=True)
    arrays = {
        "images.npy": np.stack([shrunk(cases.source.read_image(row[0]), side) for row in locators])[..., None]
    }
    if len(columns) > 1:
        arrays["masks.npy"] = np.stack([united(cases, row[1:], side) for row in locators])
    for name, array in arrays.items():
        np.save(folder / name, array)
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in sorted(arrays)
    }
    (folder / "manifest.json").write_text(
        json.dumps({"key": key, "files": files}, indent=1), encoding="utf-8"
    )


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """Return a grey image as a square: averaged where it shrinks, interpolated where it grows."""
    within = tuple(min(length, side) for length in image.shape[::-1])
    return cv2.resize(cv2.resize(image, within, interpolation=cv2.INTER_AREA), (side, side))


def united(cases: CaseTable, masks: Sequence[str], side: int) -> np.ndarray:
    parts = [cases.source.read_mask(mask) for mask in masks]
    return np.maximum.reduce(
        [cv2.resize(part, (side, side), interpolation=cv2.INTER_NEAREST_EXACT) for part in parts]
    )


def test_a_study_of_all_protocols_decodes_every_file_once(
    prepare: Callable[..., StudySession], reads: Counter[str], tmp_path: Path
) -> None:
    session = prepare("one")
    files = {name: len(cases) * (1 + (name == "outlines")) for name, cases in tables(session).items()}
    assert files == {"lesions": 40, "outlines": 48}
    assert set(reads.values()) == {1}
    assert Counter(name.partition("/")[0] for name in reads) == files
    reads.clear()
    counts = session.run()
    assert (counts.done, counts.total) == (5, 5)
    scored = tables(session)["outlines"].frame.query("split != 'train'")["mask"].explode()
    assert set(reads) == {f"outlines/{mask}" for mask in scored}, "scores are taken at the masks' own size"
    decoded = [np.load(path).shape for path in (tmp_path / "one" / "cache" / "decoded").glob("*/images.npy")]
    kept = {(len(cases), side) for name, cases in tables(session).items() for side in SIDES[name]}
    assert {shape[:2] for shape in decoded} == kept
    assert len(decoded) == len(kept)


def test_records_and_caches_are_those_of_decoding_again_for_every_cache(
    prepare: Callable[..., StudySession], image_reads: Counter[str], tmp_path: Path
) -> None:
    once = prepare("one")
    once.run()
    former = prepare("former", plan_only=True)
    for name, cases in tables(former).items():
        for side in SIDES[name]:
            write_former_cache(cases, side, tmp_path / "former" / "cache")
    image_reads.clear()
    former.run()
    assert image_reads == {}
    assert results(once) == results(former)
    assert decoded_files(tmp_path / "one" / "cache") == decoded_files(tmp_path / "former" / "cache")
    lazy = prepare("lazy", plan_only=True)
    image_reads.clear()
    lazy.run()
    assert set(image_reads.values()) == {2}, "each of the two caches of a task is decoded by itself"
    assert results(lazy) == results(once)


def test_processes_leave_the_same_bytes(
    prepare: Callable[..., StudySession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("one")
    monkeypatch.setattr(decoding_pass, "FEWEST_FOR_WORKERS", 2)
    monkeypatch.setattr(decoding_pass, "_CASES_PER_JOB", 7)
    prepare("two", workers=2)
    assert decoded_files(tmp_path / "one" / "cache") == decoded_files(tmp_path / "two" / "cache") != {}


def test_a_plan_keeps_no_pixels_and_a_run_after_it_builds_what_is_missing(
    prepare: Callable[..., StudySession], image_reads: Counter[str], tmp_path: Path
) -> None:
    prepare("one", plan_only=True)
    assert set(image_reads.values()) == {1}
    assert not (tmp_path / "one" / "cache" / "decoded").exists()
    image_reads.clear()
    session = prepare("one")
    assert set(image_reads.values()) == {1}, "both sides come out of one pass"
    image_reads.clear()
    prepare("one")
    session.run()
    assert image_reads == {}


def test_a_study_that_is_done_keeps_no_pixels(
    prepare: Callable[..., StudySession], reads: Counter[str], tmp_path: Path
) -> None:
    prepare("one").run()
    shutil.rmtree(tmp_path / "one" / "cache")
    reads.clear()
    prepare("one")
    assert set(reads.values()) == {1}
    assert not (tmp_path / "one" / "cache" / "decoded").exists()


def test_contents_are_looked_up_once_before_and_once_after_decoding(
    prepare: Callable[..., StudySession], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    digest = FileSource.content_hash

    def counted(self: FileSource, locator: str) -> str:
        asked[f"{self.root.name}/{locator}"] += 1
        return digest(self, locator)

    monkeypatch.setattr(FileSource, "content_hash", counted)
    prepare("one")
    assert set(asked.values()) == {2}
    asked.clear()
    prepare("one")
    assert set(asked.values()) == {1}


def test_an_unreadable_image_is_a_problem_and_leaves_no_cache(
    prepare: Callable[..., StudySession], data: Path, reads: Counter[str], tmp_path: Path
) -> None:
    (data / "outlines" / "images" / "03.png").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DataError, match=r"task 'outlines'(.|\n)*1: images/03\.png"):
            prepare("one")
    left = decoded_files(tmp_path / "one" / "cache")
    assert len([name for name in left if name.endswith("images.npy")]) == len(SIDES["lesions"])
    assert not list((tmp_path / "one" / "cache" / "decoded").glob("*.part"))
    assert reads["outlines/images/03.png"] == 1, "what cannot be read is remembered"


def test_a_disk_without_room_is_refused_before_anything_is_decoded(
    prepare: Callable[..., StudySession],
    reads: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=40 * (37**2 + 55**2) - 1)
    with monkeypatch.context() as patch:
        patch.setattr(cache_building.shutil, "disk_usage", lambda place: usage)
        with pytest.raises(
            StoreError, match=r"decoded cache: expected room for at least 175\.8 kB at .*decoded"
        ):
            prepare("one")
    assert reads == {}
    assert decoded_files(tmp_path / "one" / "cache") == {}
    prepare("one")
    assert set(reads.values()) == {1}
