"""The command line as a user meets it, and a small data set of one's own to run it on."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import settings

settings.register_profile("medtransfer", deadline=None)  # speed is a matter of benchmarks, never of a test
settings.load_profile("medtransfer")

VARIABLES = ("MEDTRANSFER_DATA", "MEDTRANSFER_WEIGHTS", "MEDTRANSFER_CACHE", "MEDTRANSFER_STORE")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    def refusal(self) -> str:
        """The one message of a command that was refused: nothing else may follow it."""
        lines = self.err.splitlines()
        (start,) = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        assert "Traceback" not in self.err
        assert self.out == ""
        return "\n".join(lines[start:]).removeprefix("Error: ")


Command = Callable[..., Ended]


def pytest_configure() -> None:
    """Hear Ctrl-C even where the tests were started in the background, which passes its being ignored on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what tests remember out of the user's own cache folder."""
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def medtransfer(
    no_variables: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Run the entry point in this process, from an empty folder; its exit code is the real one."""
    from medtransfer.cli.entry import main

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["medtransfer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(ended.value.code, out, err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def start_medtransfer(
    no_variables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line as a process group of its own."""
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "medtransfer", *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file from a mapping, or from text."""

    def write(content: Mapping[str, Any] | str, name: str = "study.yaml") -> Path:
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def draw_lesions() -> Callable[[Path], Path]:
    """Draw own data below a folder: ``lesions/<class>/*.png``, two images per patient, brightness tells."""

    def draw(folder: Path) -> Path:
        import cv2
        import numpy as np

        values = np.random.default_rng(1)
        for name, level in (("benign", 100), ("malignant", 130)):
            below = folder / "lesions" / name
            below.mkdir(parents=True)
            for number in range(20):
                pixels = values.normal(level, 40, (36, 36)).clip(0, 255).astype("uint8")
                cv2.imwrite(str(below / f"{name[0]}{number // 2:02}_{number}.png"), pixels)
        return folder

    return draw


@pytest.fixture
def lesions(tmp_path: Path, draw_lesions: Callable[[Path], Path]) -> Path:
    """A data folder with the drawn data set ``lesions``."""
    return draw_lesions(tmp_path / "data")


@pytest.fixture(scope="session")
def drawn() -> ModuleType:
    """The module that draws case tables in memory, for the tests of everything that trains."""
    name = "drawn_cases"
    if name not in sys.modules:
        path = Path(__file__).parent / "training" / "drawn_cases.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
