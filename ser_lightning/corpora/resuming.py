"""A downloader for pooch that goes on where a connection broke or a process was killed."""

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests  # type: ignore[import-untyped]
import urllib3
from rich.progress import DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ser_lightning.console import console
from ser_lightning.errors import UserError
from ser_lightning.files import write_json

CHUNK = 1 << 16
TIMEOUT = (10.0, 60.0)
"""Seconds until a connection stands, and between two pieces."""
ATTEMPTS = 5
"""Requests in a row that may bring nothing new."""
PAUSE = 1.0
"""Seconds before the first repeated request; doubled each time."""
TRANSIENT = {408, 425, 429}


class DownloadError(UserError):
    """The file could not be downloaded; what arrived is kept where another try can go on from it."""


@dataclass(frozen=True)
class State:
    """What is known of a part: whose it is, how long the whole is, and by what the server tells that it changed."""

    url: str
    validator: str
    total: int


class Resuming:
    """A downloader for pooch, whose own starts again from nothing: the part is kept beside `path` until it is whole."""

    def __init__(self, path: Path, show: bool) -> None:
        self.part = path.with_name(f"{path.name}.part")
        self.state = path.with_name(f"{path.name}.part.json")
        self.show = show
        self.reason = ""

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, disable=not self.show) as progress:
            progress.add_task(url, total=None)
            best, idle = self._size(), 0
            while not self._request(url, progress):
                idle = 0 if self._size() > best else idle + 1
                best = max(best, self._size())
                if idle == ATTEMPTS:
                    raise DownloadError(f"{url}: {self.reason}; try again later, it goes on from what is there")
                time.sleep(PAUSE * 2 ** (idle - 1) if idle else 0)
        self.part.replace(output_file)
        self.state.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _request(self, url: str, progress: Progress) -> bool:
        """Ask for what is missing; returns whether the part is now whole, else `reason` says why not."""
        headers, known = {"Accept-Encoding": "identity"}, self._resumable(url)
        if known:
            # If-Range: a file that has changed since comes whole, not as the rest of another one (RFC 9110, 13.1.5).
            headers |= {"Range": f"bytes={self._size()}-", "If-Range": known.validator}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                return self._answer(url, response, known, progress)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ValueError):  # how requests says that it cannot read the address
                raise DownloadError(f"{url}: {error}; mend the address") from error
            self.reason = f"broke off after {self._size()} bytes ({error})"
            return False

    def _answer(self, url: str, response: Any, known: State | None, progress: Progress) -> bool:
        if response.status_code == 200:
            known = self._begin(url, response)
        elif response.status_code in (206, 416) and known:
            if not self._agrees(response, known):
                return False
        else:
            return self._refused(url, response)
        if response.status_code != 416:
            self._append(response, known, progress)
        if known and self._size() != known.total:
            self.reason = f"sent {self._size()} of the {known.total} bytes that it promised"
            return False
        return True

    def _begin(self, url: str, response: Any) -> State | None:
        """Start the part; without a validator or a length it is not resumed but begun again."""
        self.part.write_bytes(b"")
        self.state.unlink(missing_ok=True)
        if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise DownloadError(f"{url}: the server sends it encoded ({encoding}) although asked not to")
        length, etag = response.headers.get("Content-Length"), response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        if length is None:
            return None
        state = State(url, validator, int(length))
        write_json(self.state, asdict(state))
        return state

    def _agrees(self, response: Any, known: State) -> bool:
        """Whether a part's answer continues the part and knows the same length; if not, the part is worthless."""
        ranges = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
        whole = response.status_code == 416 and self._size() == known.total
        if ranges and int(ranges[2]) == known.total and (whole or ranges[1] == str(self._size())):
            return True
        now = ranges[2] if ranges else "an unknown number of"
        self.reason = f"promised {known.total} bytes, sent {self._size()}, and then said it has {now}"
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)
        return False

    def _refused(self, url: str, response: Any) -> bool:
        self.reason = f"the server answers {response.status_code} {response.reason}"
        if 400 <= response.status_code < 500 and response.status_code not in TRANSIENT:
            raise DownloadError(f"{url}: {self.reason}; if the file has moved, set its new address")
        return False

    def _append(self, response: Any, known: State | None, progress: Progress) -> None:
        (task,) = progress.task_ids
        with self.part.open("ab") as out:
            # What `iter_content` has of a piece when the connection breaks is lost; `read1` hands over all that came.
            while piece := response.raw.read1(CHUNK, decode_content=False):
                out.write(piece)
                progress.update(task, completed=out.tell(), total=known.total if known else None)

    def _resumable(self, url: str) -> State | None:
        """What is known of the part that is there, if the server can tell whether it is still of the same file."""
        if not self._size() or not self.state.exists():
            return None
        try:
            state = State(**json.loads(self.state.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            return None
        return state if state.url == url and state.validator and self._size() <= state.total else None
