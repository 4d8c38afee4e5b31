"""Downloads from a local server that drops, lies and changes its mind."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.models.catalogue import declared_model
from medtransfer.models.download import CONNECTIONS, download, fetch_weights
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
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if self.path != "/w.pth":
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if self.headers.get("If-Range", state.tag) != state.tag:
                start = 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
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
