"""Downloading one file over HTTP: checked by its SHA-256, there whole or not at all."""

from pathlib import Path

import pooch  # type: ignore[import-untyped]

from ser_lightning.corpora.resuming import Resuming
from ser_lightning.errors import UserError


class WrongBytesError(UserError):
    """The file arrived with another SHA-256 than expected, and was removed."""


def download(url: str, path: Path, sha256: str | None, show: bool = True) -> str:
    """Put what `url` serves at `path`, unless it is there already; returns its SHA-256 (hexadecimal).

    Raises:
        DownloadError: the server refuses, breaks off again and again, or contradicts itself about the length.
        WrongBytesError: the content has another SHA-256 than the given one.
        UserError: the disk is full, or the folder cannot be written.
    """
    pooch.get_logger().setLevel("WARNING")
    known = f"sha256:{sha256}" if sha256 else None
    try:
        pooch.retrieve(url, known, fname=path.name, path=path.parent, downloader=Resuming(path, show))
    except ValueError as error:
        raise WrongBytesError(f"{url}: {error}") from error
    except OSError as error:
        raise UserError(f"{path.parent}: {error}; mend that and run the command again, which goes on") from error
    return str(pooch.file_hash(str(path)))
