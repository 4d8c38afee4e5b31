"""Foreign weights files to safetensors, on request only and in a process that can do nothing else.

The process has no network, limited memory and time, and may open no file but the ones it is given. Its
reader knows arrays of numbers and plain containers and imports nothing a file names. This process never
unpickles anything: it reads the safetensors file back with the same checks as any other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medtransfer.core.atomic import fsync_folder
from medtransfer.core.errors import UnsafeCheckpointError, UsageError, WeightsError
from medtransfer.core.fingerprints import hash_file
from medtransfer.models.converters.isolation import Limits
from medtransfer.models.converters.registry import Converter, converters
from medtransfer.models.converters.source_files import source_files
from medtransfer.models.source_model import SourceModel
from medtransfer.models.torch_archive import check_torch_archive
from medtransfer.models.weights_format import first_bytes

GENERAL = "pickled-module"
"""Converter of files whose record names none."""

MEMORY_BYTES = 1 << 30
MEMORY_PER_BYTE = 6
"""Address space a conversion may use: so much, and so many times the bytes of its files."""

_PACKAGES = Path(__file__).resolve().parents[3]
"""The folder this package is imported from, for the process that ignores the environment."""

_START = "import sys; sys.path.append(sys.argv[1]); from medtransfer.models.converters.isolated import main; "
_START += "sys.exit(main(sys.argv[2]))"


@dataclass(frozen=True)
class ConversionReport:
    """Account of one conversion."""

    model: str
    """Name of the source model."""
    converter: str
    """Name of the converter."""
    source: str
    """The file that was read."""
    source_sha256: str
    """Its digest; of the index for a TensorFlow checkpoint."""
    target: str
    """The safetensors file that was written."""
    sha256: str
    """Its digest; the same source always gives the same bytes."""
    tensors: int
    """Tensors written."""
    values: int
    """Numbers written."""
    left_out: tuple[str, ...]
    """Names in the source that were not taken over, the first thousand."""
    asked: tuple[str, ...]
    """Classes and functions the source names; none was imported."""
    isolation: tuple[str, ...]
    """What the converting process was held to."""


def convert_checkpoint(
    model: SourceModel, source: Path, target: Path, *, limits: Limits | None = None
) -> ConversionReport:
    """Convert a foreign weights file of a model to safetensors.

    Args:
        model: A model whose record names a converter; the one for pickled networks serves the others.
        source: The file as published; for TensorFlow the index, the common start of the names, or the
            folder.
        target: Where the safetensors file is to be; it comes into being whole and checked, or not at all.
        limits: What the conversion may use; by default it follows the size of the file.

    Raises:
        UsageError: If the model has no weights in a file, or the platform cannot isolate a process.
        UnsafeCheckpointError: If the file asks for more than arrays and plain containers.
        WeightsError: If it is missing, damaged, of another network, or not the declared one.
    """
    if model.weights is None or model.weights.hub is not None:
        raise UsageError(f"model {model.name!r}: expected weights in a file to convert, got none declared.")
    converter = converters.get(model.weights.converter or GENERAL)
    files = source_files(source, bundle=converter.files == "bundle")
    digest = hash_file(files[0])
    if model.weights.sha256 is not None and digest != model.weights.sha256:
        raise WeightsError(
            f"model {model.name!r}: expected weights with SHA-256 {model.weights.sha256}, got {digest} in "
            f"{files[0]}. The file is damaged or another one; get it again."
        )
    if first_bytes(files[0]).startswith(b"PK\x03\x04"):
        check_torch_archive(files[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".convert-") as folder:
        part = Path(folder) / target.name
        request = _request(model, converter, files, part, digest, limits)
        answer = _ask(request, source)
        _check_result(part, source)
        part.replace(target)
    fsync_folder(target.parent)
    return ConversionReport(
        model=model.name,
        converter=converter.name,
        source=str(files[0]),
        source_sha256=digest,
        target=str(target),
        sha256=hash_file(target),
        tensors=int(answer["tensors"]),
        values=int(answer["values"]),
        left_out=tuple(map(str, answer["left_out"])),
        asked=tuple(map(str, answer["asked"])),
        isolation=tuple(map(str, answer["isolation"])),
    )


def _request(
    model: SourceModel,
    converter: Converter,
    files: list[Path],
    part: Path,
    digest: str,
    limits: Limits | None,
) -> dict[str, Any]:
    weights = model.weights
    assert weights is not None
    containers = [weights.container] if weights.container is not None else list(weights.containers)
    size = sum(file.stat().st_size for file in files)
    used = limits or Limits(memory_bytes=MEMORY_BYTES + MEMORY_PER_BYTE * size)
    return {
        "files": [str(file.resolve()) for file in files],
        "target": str(part.resolve()),
        "function": converter.function,
        "admits": converter.admits,
        "containers": containers,
        "limits": asdict(used),
        "record": {"converter": converter.name, "opened": containers, "source_sha256": digest},
    }


def _ask(request: dict[str, Any], source: Path) -> dict[str, Any]:
    """Run the isolated process and return its answer."""
    if os.name != "posix":
        raise UsageError(
            "conversion: expected Linux or macOS, whose processes can be limited, got another system. "
            "Convert the file there and copy the safetensors file."
        )
    command = [sys.executable, "-I", "-B", "-X", "utf8", "-c", _START, str(_PACKAGES), json.dumps(request)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=request["limits"]["wall_s"],
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            cwd=Path(request["target"]).parent,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal(source, f"one that took more than {request['limits']['wall_s']} s") from error
    return _understood(ended, source)


def _understood(ended: subprocess.CompletedProcess[bytes], source: Path) -> dict[str, Any]:
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or len(lines) != 1:
        last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        how = f"by signal {-ended.returncode}" if ended.returncode < 0 else f"with {ended.returncode}"
        reason = "; ".join((f"its reader ended {how}", *last))
        raise _refusal(source, f"one that cannot be read within the limits ({reason:.300})")
    answer: dict[str, Any] = json.loads(lines[0])
    if answer.get("error") == "unsafe":
        raise UnsafeCheckpointError(
            f"weights file {source.name}: expected arrays and plain containers only, got a pickle that "
            f"{answer['message']}. It was not run, and nothing was written. Ask its publisher for safetensors."
        )
    if "error" in answer:
        raise _refusal(source, f"a damaged or other one ({answer['message']})")
    return answer


def _check_result(part: Path, source: Path) -> None:
    from medtransfer.models.checkpoint import read_checkpoint

    try:
        read_checkpoint(part)
    except WeightsError as error:
        raise _refusal(source, f"one whose tensors are refused ({error})") from error


def _refusal(source: Path, got: str) -> WeightsError:
    return WeightsError(
        f"weights file {source.name}: expected a file its converter reads, got {got}. Nothing was written."
    )
