"""What runs and studies rely on beside the machine: locks, the study's storage, W&B."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from sqlalchemy import make_url

from ser_lightning.cluster.checks import Finding, Work, nearest
from ser_lightning.config.schema import Tracking
from ser_lightning.errors import UserError
from ser_lightning.processes.lock import TakenError, owned
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.passwords import without_password
from ser_lightning.sweeps.storage import open_storage
from ser_lightning.sweeps.study import StudyFolder
from ser_lightning.tracking.server import server, unanswered


def locks(folder: str | Path) -> str:
    """Try the locks of the file system that `folder` is or will be on, in a folder that goes away.

    Raises:
        UserError: it cannot be written, or keeps no locks.
    """
    place = nearest(folder)
    try:
        with TemporaryDirectory(prefix=".ser-doctor-", dir=place) as temporary, owned(Path(temporary, "lock")):
            try:
                with owned(Path(temporary, "lock")):
                    raise UserError(f"{place}: its file system grants one lock twice; take a folder on another one")
            except TakenError:
                return f"{place} can be written, and keeps locks"
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror}); name another folder") from error


def storage(work: Work, frozen: Frozen) -> Finding:
    """A study's storage, opened for real; in a database the tables are made, but no study.

    Raises:
        UserError: it can't be used, or the study there began with something else.
    """
    folder, url = StudyFolder(work.studies / frozen.study.name), frozen.study.storage
    known = Frozen.read(folder.frozen) if folder.frozen.exists() else frozen
    known.check_version(folder.path)
    if found := known.differences(frozen):
        raise UserError(f"{folder.path} began with something else: {'; '.join(found)}; choose another study.name")
    going_on = f"; goes on with {folder.path}" if folder.frozen.exists() else ""
    text = locks(folder.path)
    if url is None:
        with TemporaryDirectory(prefix=".ser-doctor-", dir=nearest(folder.path)) as temporary:
            open_storage(None, Path(temporary)).get_all_studies()
        return Finding("storage", "ok", f"{text}, and a journal{going_on}")
    if url.startswith("sqlite") and not Path(make_url(url).database or "").exists():
        return Finding("storage", "ok", f"{locks(Path(make_url(url).database or '').parent)}, and a database{going_on}")
    open_storage(url, folder.path).get_all_studies()
    return Finding("storage", "ok", f"{without_password(url)} answers{going_on}")


def wandb(tracking: Tracking, environment: Mapping[str, str] = os.environ) -> Finding:
    """Online needs a key and a server that answers; offline nothing."""
    if tracking.mode != "online":
        how = {"offline": "offline: `ser sync` uploads later", "off": "off"}[tracking.mode]
        return Finding("W&B", "ok", how)
    host = urlsplit(server()).hostname or ""
    if not _has_key(host, environment):
        return Finding(
            "W&B", "fail", f"online, but there is no key for {host}", "`wandb login`, or tracking.mode=offline"
        )
    if why := unanswered():
        return Finding("W&B", "warn", f"{why}: runs will log offline", "tracking.mode=offline, and `ser sync` later")
    return Finding("W&B", "ok", f"{host} answers here; runs on nodes that cannot reach it log offline")


def _has_key(host: str, environment: Mapping[str, str]) -> bool:
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    known = (environment.get("NETRC"), "~/.netrc", "~/_netrc")
    files = [path for name in known if name and (path := Path(name).expanduser()).is_file()]
    try:
        return any(netrc.netrc(str(file)).authenticators(host) for file in files)
    except netrc.NetrcParseError:
        return False
