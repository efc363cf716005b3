"""What the tests of corpora share: real data, adapters as the YAML files configure them, small WAVs, a bad server."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import yaml

from ser_lightning.config.components import TABLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def configured() -> Callable[..., Any]:
    """Return a function that makes an adapter from conf/corpus/NAME.yaml and overrides."""

    def make(choice: str, **overrides: Any) -> Any:
        values = yaml.safe_load((ROOT / f"conf/corpus/{choice}.yaml").read_text(encoding="utf-8"))
        module, _, name = TABLES["corpus"][values.pop("name")].partition(":")
        return getattr(import_module(module), name)(**(values | overrides))

    return make


@pytest.fixture(scope="session")
def wav() -> Callable[..., Path]:
    """Return a function that writes noise that `number` decides: a number of its own, audio of its own."""

    def write(path: Path, number: int = 0, peak: float = 0.5, frames: int = 800) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(number).uniform(-peak, peak, frames)
        samples[: 1 if frames else 0] = peak
        soundfile.write(path, samples, 16_000, subtype="PCM_16")
        return path

    return write


@dataclass
class Served:
    """One file of the server, and how it is served badly."""

    content: bytes
    etag: str = '"one"'
    claims: int | None = None
    """Length that is told instead of the true one."""
    cuts: list[int] = field(default_factory=list)
    """Bytes that each answer sends before the connection breaks, in order; after these, answers are whole."""
    statuses: list[int] = field(default_factory=list)
    """Status of each answer instead of the file, in order."""
    chunked: bool = False
    """Whether it comes in chunks, without a length."""
    shift: int = 0
    """Bytes by which a partial answer misses what was asked for."""
    asked: list[str] = field(default_factory=list)
    """The Range of each request, or nothing."""


class Handler(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, Served]]

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        served = self.files.get(self.path)
        if served is None:
            return self.send_error(404)
        asked = self.headers.get("Range", "")
        served.asked.append(asked)
        if served.statuses:
            return self.send_error(served.statuses.pop(0))
        known = served.etag and self.headers.get("If-Range") == served.etag
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and known else 0
        length = len(served.content) if served.claims is None else served.claims
        if start and start >= len(served.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(served.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start += served.shift if start else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
        if served.etag:
            self.send_header("ETag", served.etag)
        if served.chunked:
            return self._in_chunks(served)
        self.send_header("Content-Length", str(length - start))
        self.end_headers()
        stop = start + served.cuts.pop(0) if served.cuts else len(served.content)
        self.wfile.write(served.content[start : min(stop, length)])

    def _in_chunks(self, served: Served) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        stop = served.cuts.pop(0) if served.cuts else len(served.content)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(served.content), served.content[:stop]))
        if stop == len(served.content):
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Served]]]:
    """The address of a server on this machine, and its files by path; requests are repeated without a pause."""
    monkeypatch.setattr("ser_lightning.corpora.resuming.PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Own", (Handler,), {"files": {}})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", handler.files
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def served() -> type[Served]:
    return Served
