"""Where a study is kept, as a person may read it: without passwords."""

import shlex

from sqlalchemy import make_url

from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.study import StudyFolder

PROXY = "grpc:"


def where(frozen: Frozen, folder: StudyFolder) -> str:
    """The journal's file, or the URL of the database or proxy."""
    url = frozen.study.storage
    if url is None:
        return str(folder.journal)
    return url if url.startswith(PROXY) else make_url(url).render_as_string(hide_password=True)


def dashboard(frozen: Frozen, folder: StudyFolder) -> str | None:
    """The command that serves the study in a browser; None for a proxy, which the dashboard does not speak to."""
    if (frozen.study.storage or "").startswith(PROXY):
        return None
    return shlex.join(["optuna-dashboard", where(frozen, folder)])
