"""Downloads from a local server that drops, lies and changes its mind."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.download import CONNECTIONS, download, fetch_weights
from medtransfer.models.kept_copies import kept_copy
from medtransfer.models.source_model import SourceModel, WeightsFile
from medtransfer.models.weights_files import locate_weights

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server serves, and what it was asked."""

    address: str = ""
    content: bytes = CONTENT
    drop_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next connections breaks."""
    ranges: bool = True
    kind: str = "application/octet-stream"
    tag: str = '"1"'
    length: int | None = None
    """What the server says the length is, where it lies."""
    starts_at: int | None = None
    """Where a partial answer says it begins, where it lies."""
    asked: list[str] = field(default_factory=list)


@pytest.fixture(autouse=True)
def new_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no copy from one test to the next."""
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if self.path != "/w.pth":
                self.send_error(int(self.path[1:]) if self.path[1:].isdigit() else 404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if self.headers.get("If-Range", state.tag) != state.tag:
                start = 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) if state.length is None else state.length))
            if start:
                said = start if state.starts_at is None else state.starts_at
                self.send_header(
                    "Content-Range", f"bytes {said}-{len(state.content) - 1}/{len(state.content)}"
                )
            self.send_header("Content-Type", state.kind)
            self.send_header("ETag", state.tag)
            self.end_headers()
            self.wfile.write(body[: state.drop_after.pop(0)] if state.drop_after else body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}/w.pth"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_whole_file_arrives_with_progress(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = download(
        site.address,
        tmp_path / "new" / "w.pth",
        sha256=DIGEST,
        progress=lambda what, done, total: seen.append((done, total)),
    )
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(path.name for path in target.parent.iterdir()) == [".w.pth.lock", "w.pth"]


def test_dropped_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.drop_after = [1000, 5000]
    assert download(site.address, tmp_path / "w.pth", sha256=DIGEST).read_bytes() == CONTENT
    assert site.asked == ["", "bytes=1000-", "bytes=6000-"]


def test_server_without_ranges_starts_again(site: Site, tmp_path: Path) -> None:
    site.ranges, site.drop_after = False, [1000]
    assert download(site.address, tmp_path / "w.pth", sha256=DIGEST).read_bytes() == CONTENT


def test_file_that_changes_between_connections_is_not_joined(site: Site, tmp_path: Path) -> None:
    site.drop_after = [1000]
    other = bytes(reversed(CONTENT))

    def change(what: str, done: int, total: int) -> None:
        site.content, site.tag = other, '"2"'

    assert download(site.address, tmp_path / "w.pth", progress=change).read_bytes() == other


def test_broken_download_is_invisible_and_goes_on_later(site: Site, tmp_path: Path) -> None:
    site.drop_after = [1000] * CONNECTIONS
    with pytest.raises(WeightsError, match=r"got 5,000 bytes .*Run again"):
        download(site.address, tmp_path / "w.pth", sha256=DIGEST)
    assert not (tmp_path / "w.pth").exists()
    download(site.address, tmp_path / "w.pth", sha256=DIGEST)
    assert site.asked[-1] == "bytes=5000-"
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_part_of_an_unknown_file_is_not_trusted(site: Site, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(b"of another file")
    assert download(site.address, tmp_path / "w.pth").read_bytes() == CONTENT


def test_wrong_bytes_are_removed(site: Site, tmp_path: Path) -> None:
    site.content = CONTENT[:-1] + b"x"
    with pytest.raises(WeightsError, match="expected SHA-256"):
        download(site.address, tmp_path / "w.pth", sha256=DIGEST)
    assert [path.name for path in tmp_path.iterdir()] == [".w.pth.lock"]


def test_part_that_is_already_too_long_is_thrown_away(site: Site, tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").write_bytes(CONTENT + b"more")
    assert download(site.address, tmp_path / "w.pth", sha256=DIGEST).read_bytes() == CONTENT


def test_web_page_instead_of_a_file_is_named(site: Site, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="got a web page"):
        download(site.address, tmp_path / "w.pth")


def test_absent_file_and_silent_host_are_weights_errors(site: Site, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="HTTP 404"):
        download(site.address + "x", tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="refused"):
        download("http://127.0.0.1:9/w.pth", tmp_path / "w.pth")


@pytest.mark.parametrize("code", [401, 403])
def test_a_file_behind_a_request_says_whom_to_ask(site: Site, tmp_path: Path, code: int) -> None:
    gate = site.address.replace("w.pth", str(code))
    weights = WeightsFile(file="w.pth", url=gate, manual="Accept the terms at example.org with an account.")
    model = replace(resolve_model("resnet20.sup_cifar10"), weights=weights)
    with pytest.raises(WeightsError, match=f"HTTP {code}.*get it by hand with an account.*Accept the terms"):
        fetch_weights(model, tmp_path)
    assert len(site.asked) == 1, "asked again although the answer will be the same"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/w.pth", "w.pth"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="http or https"):
        download(url, tmp_path / "w.pth")


def test_file_that_is_there_is_kept_or_replaced_by_digest(site: Site, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(CONTENT)
    download(site.address, tmp_path / "w.pth", sha256=DIGEST)
    assert site.asked == []
    (tmp_path / "w.pth").write_bytes(b"old")
    assert download(site.address, tmp_path / "w.pth", sha256=DIGEST).read_bytes() == CONTENT


def test_fetched_weights_are_found_afterwards(site: Site, tmp_path: Path) -> None:
    model = declared_model({"name": "m", "file": "w.pth", "architecture": "resnet20", "sha256": DIGEST})
    with pytest.raises(UsageError, match="address"):
        fetch_weights(model, tmp_path)
    assert model.weights is not None
    model = replace(model, weights=replace(model.weights, file=None, url=site.address))
    assert fetch_weights(model, tmp_path) == locate_weights(model, tmp_path)


def model_at(*addresses: str, sha256: str | None = DIGEST, **rules: Any) -> SourceModel:
    model = declared_model({"name": "m", "file": "w.pth", "architecture": "resnet20", "sha256": sha256})
    assert model.weights is not None
    url, mirrors = (addresses[0], addresses[1:]) if addresses else (None, ())
    return replace(model, weights=replace(model.weights, url=url, mirrors=mirrors, **rules))


def test_server_that_says_too_short_a_length_is_found_by_the_digest(site: Site, tmp_path: Path) -> None:
    site.length = 1000
    with pytest.raises(WeightsError, match="expected SHA-256"):
        download(site.address, tmp_path / "w.pth", sha256=DIGEST)
    assert not (tmp_path / "w.pth").exists()


def test_server_that_says_too_long_a_length_never_gives_a_whole_file(site: Site, tmp_path: Path) -> None:
    site.length, site.ranges = len(CONTENT) + 1, False
    with pytest.raises(WeightsError, match=r"got 1,048,576 bytes .*Run again"):
        download(site.address, tmp_path / "w.pth")
    assert not (tmp_path / "w.pth").exists()


def test_partial_answer_from_another_place_is_not_joined(site: Site, tmp_path: Path) -> None:
    site.drop_after, site.starts_at = [1000], 500
    assert download(site.address, tmp_path / "w.pth").read_bytes() == CONTENT
    assert site.asked == ["", "bytes=1000-", ""]


@pytest.mark.parametrize("digest", [None, DIGEST])
def test_web_page_under_another_name_is_named(site: Site, tmp_path: Path, digest: str | None) -> None:
    site.content = b"\n<!DOCTYPE html><html><body>Google Drive: too large to scan</body></html>"
    with pytest.raises(WeightsError, match=r"got a web page.*by hand"):
        download(site.address, tmp_path / "w.pth", sha256=digest)
    assert [path.name for path in tmp_path.iterdir()] == [".w.pth.lock"]


def test_mirrors_are_tried_in_order(site: Site, tmp_path: Path) -> None:
    model = model_at("http://127.0.0.1:9/w.pth", site.address + "x", site.address)
    assert fetch_weights(model, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_every_address_that_failed_is_listed_with_what_to_do(site: Site, tmp_path: Path) -> None:
    model = model_at("http://127.0.0.1:9/w.pth", site.address + "x", manual="Ask the authors.")
    with pytest.raises(
        WeightsError, match=r"one of 2, got none.*127.0.0.1:9.*HTTP 404.*Ask the authors. Put it"
    ):
        fetch_weights(model, tmp_path)


def test_wrong_bytes_of_one_address_leave_room_for_the_next(site: Site, tmp_path: Path) -> None:
    site.content = CONTENT[:-1] + b"x"
    model = model_at(site.address, site.address)
    with pytest.raises(WeightsError, match=r"(?s)expected SHA-256.*expected SHA-256"):
        fetch_weights(model, tmp_path)


def test_file_without_address_says_what_to_get_and_where_to_put_it(tmp_path: Path) -> None:
    model = model_at(manual="Fill in the form at example.org and download w.pth.")
    with pytest.raises(UsageError, match=rf"form at example.org .*Put it at {tmp_path}/w.pth"):
        fetch_weights(model, tmp_path)
    with pytest.raises(WeightsError, match=r"form at example.org"):
        locate_weights(model, tmp_path)


@pytest.mark.parametrize("variable", ["MEDTRANSFER_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_makes_no_connection(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UsageError, match=rf"got {variable}='1'.*Put it at"):
        fetch_weights(model_at(site.address), tmp_path)
    with pytest.raises(UsageError, match=variable):
        download(site.address, tmp_path / "w.pth")
    assert site.asked == []
    (tmp_path / "w.pth").write_bytes(CONTENT)
    assert fetch_weights(model_at(site.address), tmp_path) == tmp_path / "w.pth"


def test_one_copy_serves_all_folders_of_a_machine(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    first = fetch_weights(model_at(site.address), tmp_path / "a")
    second = fetch_weights(model_at("http://127.0.0.1:9/w.pth"), tmp_path / "b")
    assert second.read_bytes() == CONTENT
    assert second.samefile(first)
    assert len(site.asked) == 1


def test_damaged_copy_is_not_linked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    kept_copy(DIGEST).parent.mkdir(parents=True)
    kept_copy(DIGEST).write_bytes(b"damaged")
    assert fetch_weights(model_at(site.address), tmp_path / "a").read_bytes() == CONTENT
    assert kept_copy(DIGEST).read_bytes() == CONTENT


def test_digest_of_a_first_download_is_asked_of_the_file_afterwards(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))
    model = model_at(site.address, sha256=None)
    folder = tmp_path / "weights"
    assert fetch_weights(model, folder) == locate_weights(model, folder)
    (folder / "w.pth").unlink()
    (folder / "w.pth").write_bytes(b"another file")
    with pytest.raises(WeightsError, match=f"SHA-256 {DIGEST}"):
        locate_weights(model, folder)
    shutil.rmtree(tmp_path / "cache")
    site.content = CONTENT[:-1] + b"x"
    with pytest.raises(WeightsError, match=f"SHA-256 {DIGEST}"):
        fetch_weights(model, folder)
    (folder / "weights-digests.json").write_text("[1")
    with pytest.raises(WeightsError, match="digests by file name"):
        locate_weights(model, folder)


def test_file_with_a_folder_of_its_own_is_fetched_there(site: Site, tmp_path: Path) -> None:
    model = model_at(site.address, sha256=None, file="run-1/w.pth")
    assert fetch_weights(model, tmp_path) == tmp_path / "run-1" / "w.pth" == locate_weights(model, tmp_path)
    (tmp_path / "run-1" / "w.pth").unlink()
    (tmp_path / "run-1" / "w.pth").write_bytes(b"other")
    with pytest.raises(WeightsError, match=f"SHA-256 {DIGEST}"):
        locate_weights(model, tmp_path)
