"""Passwords in the URLs of databases: whether there is one, and the URL without it."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


def has_password(url: str | None) -> bool:
    parsed = _parsed(url or "")
    return parsed is not None and bool(parsed.password or _secrets(parsed))


def without_password(url: str) -> str:
    """The URL with `***` for its password, and without options such as `?password=...`."""
    parsed = _parsed(url)
    if parsed is None:  # nobody can say where in it a password would be
        return f"{url.partition('://')[0]}://***" if "@" in url else url
    return parsed.difference_update_query(_secrets(parsed)).render_as_string(hide_password=True)


def _parsed(url: str) -> URL | None:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def _secrets(url: URL) -> list[str]:
    return [key for key in url.query if "pass" in key.lower() and key.lower() != "passfile"]
