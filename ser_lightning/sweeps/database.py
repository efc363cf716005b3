"""A study in a database: one that does not answer is told in bounded time, and many may create its tables at once."""

import random
import time
from functools import partial
from typing import Any, cast
from weakref import finalize

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.outage import Patient, cause_of

PATIENCE = 10
"""Seconds that a server has to answer."""
AWAY = (OperationalError, InterfaceError, TimeoutError)
"""What SQLAlchemy makes of drivers' errors when the server is not there, or shuts down, or starts."""
LIBPQ = {
    "connect_timeout": PATIENCE,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # ms
}
"""A machine that vanishes is noticed in half a minute, before this worker's heartbeat is stale, not after hours."""
CONNECT = {
    "psycopg": LIBPQ,
    "psycopg2": LIBPQ,
    "pymysql": {"connect_timeout": PATIENCE},
    "mysqldb": {"connect_timeout": PATIENCE},
    "pysqlite": {"timeout": 60},  # here it is how long to wait for another writer
}
"""What each driver's `connect` takes, by SQLAlchemy's name of the driver."""
TRIES = 10


def open_database(url: str) -> BaseStorage:
    """Optuna's storage in the database of an SQLAlchemy URL; its tables are made where there are none.

    Raises:
        ConfigError: malformed URL, unknown kind of database, SQLite in memory or under a relative path.
        UserError: the driver is missing, the server does not answer or refuses, another version's tables.
    """
    parsed = _parsed(url)
    try:
        driver = parsed.get_dialect()
        options = {"pool_pre_ping": True, "connect_args": dict(CONNECT.get(driver.driver, {}))}
        engine = create_engine(parsed, **options)
    except NoSuchModuleError as error:
        raise ConfigError(f"study.storage: SQLAlchemy knows no database `{parsed.drivername}`") from error
    except ImportError as error:
        raise _no_driver(parsed, error) from error
    try:
        engine.connect().close()
    except DBAPIError as error:
        raise UserError(
            f"study.storage: {_where(parsed)} cannot be reached: {_said(error, parsed)}; "
            "check that it runs and lets this host and user in, or choose another study.storage"
        ) from error
    finally:
        engine.dispose()
    storage = _with_tables(url, parsed, options)
    finalize(storage, storage.engine.dispose)  # Optuna closes no connection, and drivers warn of each
    name = f"study.storage: the {_where(parsed)}"
    return cast(BaseStorage, Patient(get_storage(storage), name, AWAY, partial(_said, url=parsed)))


def _with_tables(url: str, parsed: URL, options: dict[str, Any]) -> RDBStorage:
    """Who creates the same tables at the same time makes this one fail; what is there then is found the next time."""
    for attempt in range(1, TRIES + 1):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (SQLAlchemyError, StorageInternalError) as error:
            if attempt == TRIES:
                raise UserError(
                    f"study.storage: {_where(parsed)}: its tables cannot be made: {_said(error, parsed)}; "
                    "the user must be allowed to create tables"
                ) from error
            time.sleep(random.uniform(0.05, 0.3))
        except RuntimeError as error:  # tables of an older or newer Optuna; the message names the command that helps
            raise UserError(f"study.storage: {_where(parsed)}: {error}") from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            "study.storage: is no URL such as sqlite:////absolute/path.db, postgresql+psycopg://USER@HOST/DATABASE or "
            "grpc://HOST:PORT; null is the journal in the study's folder"
        ) from error
    name = parsed.database or ""
    if parsed.get_backend_name() == "sqlite" and (not name.startswith("/") or ":memory:" in name):
        raise ConfigError(
            f"study.storage: workers cannot share SQLite's `{name or ':memory:'}`; "
            "give an absolute path, sqlite:////path/study.db with four slashes"
        )
    return parsed


def _no_driver(url: URL, error: ImportError) -> UserError:
    package = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
    missing = str(error.name or url.drivername)
    return UserError(
        f"study.storage: {url.drivername} needs the Python package `{missing}`: "
        f"pip install '{package.get(missing, missing)}'"
    )


def _where(url: URL) -> str:
    """Which database, without user, password and options."""
    place = f"{url.host}:{url.port}" if url.port else url.host or ""
    return f"{url.get_backend_name()} database `{url.database or ''}`" + (f" on {place}" if place else "")


def _said(error: Exception, url: URL) -> str:
    """The driver's own words on one line; a password that a driver repeats is blotted out."""
    cause = cause_of(error)
    text = " ".join(str(getattr(cause, "orig", None) or cause or error).split())
    for secret in (url.password, *(value for key, value in url.query.items() if "pass" in key.lower())):
        text = text.replace(str(secret), "***") if secret else text
    return text
