"""Where a study's trials are kept: a journal in its folder, a database, or Optuna's gRPC proxy."""

import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage
from optuna.storages.journal import JournalFileBackend

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.database import open_database
from ser_lightning.sweeps.lock import SharedLock
from ser_lightning.sweeps.outage import Patient

PATIENCE = 10.0
"""Seconds that a server has to answer at the start."""
ANSWER = 30.0
"""Seconds that a proxy has to answer each call: less than `study.stale`, as no heartbeat is written meanwhile."""
JOURNAL = "journal.log"


def open_storage(url: str | None, folder: Path) -> BaseStorage:
    """The storage that `study.storage` names; None is the journal in the study's folder, which is made.

    Once open it may go away for a while: its calls wait for it, as `outage.Patient` says.

    Raises:
        ConfigError: the URL is malformed, or names a database that workers cannot share.
        UserError: a Python package is missing, or nobody answers; a password is never shown.
    """
    if url is None:
        return _journal(folder.resolve() / JOURNAL)
    if url.startswith("grpc:"):
        return _proxy(url)
    return open_database(url)


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Optuna asks a lock for `acquire` and `release`; the base class that says so is private.
    journal = JournalStorage(JournalFileBackend(str(path), lock_obj=_JournalLock(path)))  # type: ignore[arg-type]
    return cast(BaseStorage, Patient(journal, f"study.storage: the journal {path}", (OSError,)))


class _JournalLock(SharedLock):
    """Lock of a journal that takes away what a writer left unfinished: the next record would be glued to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.with_name(f"{path.name}.lock"))
        self._journal = path

    def acquire(self) -> bool:
        taken = super().acquire()
        try:
            _drop_torn_end(self._journal)
        except BaseException:
            self.release()
            raise
        return taken


def _drop_torn_end(path: Path) -> None:
    """A record whose line has no end was never confirmed to who wrote it: it was killed, or the disk was full."""
    with path.open("rb+") as file:
        if not file.seek(0, 2):
            return
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def _proxy(url: str) -> BaseStorage:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path not in ("", "/"):
        raise ConfigError("study.storage: a gRPC proxy is named grpc://HOST:PORT, for example grpc://node1:13000")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = GrpcStorageProxy(host=host, port=port)
            proxy.wait_server_ready(timeout=PATIENCE)
            fails = import_module("grpc").RpcError
    except ImportError as error:
        raise UserError("study.storage: grpc:// needs the Python package `grpcio`: pip install grpcio") from error
    except ConnectionError as error:
        raise UserError(
            f"study.storage: no gRPC proxy answers at {host}:{port} within {PATIENCE:g} s; start it there "
            "(optuna.storages.run_grpc_proxy_server), or correct host and port"
        ) from error
    # Optuna sets no deadline: a call to a machine that has vanished would never end.
    proxy._stub = proxy._cache.grpc_client = _Deadline(proxy._stub)  # type: ignore[assignment]
    return cast(BaseStorage, Patient(proxy, f"study.storage: the gRPC proxy at {host}:{port}", (fails,), _said))


class _Deadline:
    """A gRPC stub whose calls end within `ANSWER`."""

    def __init__(self, stub: object) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        return partial(getattr(self._stub, name), timeout=ANSWER)


def _said(error: Any) -> str:
    """What a gRPC error is about, on one line."""
    return f"{error.code().name}: {' '.join(str(error.details()).split())}"
