"""Passwords in storage URLs: found wherever they may stand, and never shown."""

import pytest

from ser_lightning.sweeps.passwords import has_password, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@host/db", "postgresql://ann:***@host/db"),
        ("postgresql+psycopg://ann:sec/ret@host:5432/db", "postgresql+psycopg://ann:***@host:5432/db"),
        ("mysql+pymysql://host/db?user=ann&password=secret", "mysql+pymysql://host/db?user=ann"),
        ("grpc://ann:secret@host:13000", "grpc://ann:***@host:13000"),
    ],
)
def test_a_password_is_found_and_not_shown(url: str, shown: str) -> None:
    assert has_password(url)
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann@host/db",
        "postgresql://host/db?passfile=/home/ann/.pgpass",
        "sqlite:////data/study.db",
        "grpc://host:13000",
    ],
)
def test_a_url_without_one_is_shown_as_it_is(url: str) -> None:
    assert not has_password(url)
    assert without_password(url).replace("%2F", "/") == url


def test_what_is_no_url_is_not_shown_beyond_its_beginning() -> None:
    assert without_password("postgresql://ann:secret@host:port/db") == "postgresql://***"
    assert not has_password(None)
