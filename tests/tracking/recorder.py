"""A W&B server on 127.0.0.1 that keeps what it is sent, and fails when it is told to.

It speaks what the SDK 0.31 uses of the protocol; an operation that it does not know is kept in `unknown`.
"""

import base64
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

from .operations import OPERATIONS
from .recorded import Store

KEY = "0123456789abcdef0123456789abcdef01234567"
STREAM, UPLOAD, TELEMETRY = "file_stream", "upload", "telemetry"
"""What is asked for beside GraphQL's operations; the first two can be told to fail like those."""


@dataclass
class Fault:
    """An answer given instead of the right one, `times` times; None hangs until the recorder ends."""

    status: int | None
    times: float


@dataclass
class Call:
    """Something that was asked of the server, and the status of its answer."""

    operation: str
    status: int
    at: float = field(default_factory=time.monotonic)


class Recorder:
    """A context; inside, `variables` point wandb at it."""

    entity = "lab"

    def __init__(self) -> None:
        self.store, self.lock = Store(), threading.RLock()
        self.calls, self.unknown, self.errors = list[Call](), list[str](), list[BaseException]()
        self._faults, self._over = dict[str, Fault](), threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> "Recorder":
        self.appear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self.vanish()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def url_of(self, kind: str, owner: str, name: str) -> str:
        """Where a file's content is to be put."""
        return f"{self.url}/upload/{kind}/{quote(owner, safe='')}/{quote(name, safe='')}"

    def appear(self) -> None:
        """Listen; after `vanish`, on the same port with what was kept."""
        recorder = self

        class Bound(_Handler):
            owner = recorder

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, address: object) -> None:
                error = sys.exception()
                if error and not isinstance(error, ConnectionError):  # a client that was killed
                    recorder.errors.append(error)

        self._server = Server(("127.0.0.1", self.port), Bound)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def vanish(self) -> None:
        """Refuse connections from now on."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.socket.close()

    def fail(self, operation: str, status: int | None, times: float = float("inf")) -> None:
        """Answer `operation` with `status` the next `times` times; None: don't answer."""
        self._faults[operation] = Fault(status, times)

    def mend(self) -> None:
        """Fail no more."""
        self._faults.clear()

    def count(self, operation: str) -> int:
        """How often it was asked for and answered well."""
        return sum(call.operation == operation and call.status < 300 for call in self.calls)

    def fault(self, operation: str) -> int | None:
        """The status to answer with instead; waits for ever where it was told to hang."""
        with self.lock:
            fault = self._faults.get(operation)
            if fault is None or fault.times <= 0:
                return None
            fault.times -= 1
        if fault.status is None:
            self._over.wait()
        return fault.status or 503


class _Handler(BaseHTTPRequestHandler):
    owner: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/sdk/otel/"):
            return self._answer(TELEMETRY, 200, {})
        if not self._welcome():
            return self._answer("login", 401, {"errors": [{"message": "user is not logged in"}]})
        if self.path == "/graphql":
            return self._graphql(json.loads(body))
        if found := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", self.path):
            return self._stream(json.loads(body), *map(unquote, found.groups()))
        return self._strange()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if found := re.fullmatch(r"/upload/(\w+)/([^/]+)/([^/]+)", self.path):
            return self._upload(body, *map(unquote, found.groups()))
        return self._strange()

    def do_GET(self) -> None:
        self._strange()

    def _welcome(self) -> bool:
        scheme, _, told = self.headers.get("Authorization", "").partition(" ")
        return scheme == "Basic" and base64.b64decode(told).decode().partition(":")[2] == KEY

    def _strange(self) -> None:
        self.owner.unknown.append(f"{self.command} {self.path}")
        self._answer("strange", 404, {"error": "not known"})

    def _graphql(self, asked: dict[str, Any]) -> None:
        found = re.search(r"\b(?:query|mutation)\s+(\w+)", asked["query"])
        name = asked.get("operationName") or (found[1] if found else asked["query"])
        if status := self.owner.fault(name):
            return self._answer(name, status, {"errors": [{"message": f"told to fail: {name}"}]})
        if name not in OPERATIONS:
            self.owner.unknown.append(asked["query"])
            return self._answer(name, 400, {"errors": [{"message": f"unknown operation {name}"}]})
        with self.owner.lock:
            data = OPERATIONS[name](self.owner, asked.get("variables") or {})
        self._answer(name, 200, {"data": data})

    def _stream(self, sent: dict[str, Any], entity: str, project: str, name: str) -> None:
        if status := self.owner.fault(STREAM):
            return self._answer(STREAM, status, {"error": "told to fail"})
        with self.owner.lock:
            run = self.owner.store.run(entity, project, name)
            if run is None:
                return self._answer(STREAM, 404, {"error": "run not found"})
            for stream, chunk in (sent.get("files") or {}).items():
                run.write(stream, chunk["offset"], chunk["content"])
            if sent.get("complete"):
                run.exit_codes.append(sent["exitcode"])
        self._answer(STREAM, 200, {"exitcode": None, "limits": {}})

    def _upload(self, body: bytes, kind: str, owner: str, name: str) -> None:
        if status := self.owner.fault(UPLOAD):
            return self._answer(UPLOAD, status, {"error": "told to fail"})
        store = self.owner.store
        with self.owner.lock:
            if kind == "run":
                store.runs[owner].files[name] = body
            elif kind == "artifact":
                store.artifacts[owner].uploads[name] = body
            else:
                store.manifests[owner].manifest = json.loads(body)
        self._answer(UPLOAD, 200, {})

    def _answer(self, operation: str, status: int, told: dict[str, Any]) -> None:
        self.owner.calls.append(Call(operation, status))
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The standard library would write a line for each request."""
