"""Where a study is kept, as a person may read it: without passwords."""

import shlex

from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.passwords import without_password
from ser_lightning.sweeps.study import StudyFolder

PROXY = "grpc:"


def where(frozen: Frozen, folder: StudyFolder) -> str:
    """The journal's file, or the URL of the database or proxy."""
    url = frozen.study.storage
    return str(folder.journal) if url is None else without_password(url)


def dashboard(frozen: Frozen, folder: StudyFolder) -> str | None:
    """The command that serves the study in a browser; None for a proxy, which the dashboard does not speak to."""
    if (frozen.study.storage or "").startswith(PROXY):
        return None
    return shlex.join(["optuna-dashboard", where(frozen, folder)])
