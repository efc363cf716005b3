"""What W&B's environment variables may say here: of keys, servers, proxies and time limits, and nothing of a run.

A shell, a sweep agent or a launcher leaves them behind. Where the configuration names no project or entity wandb would
take it from there, and two starts of one run would end up in two places.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ser_lightning.console import say

DECIDED = frozenset(
    f"WANDB_{name}"
    for name in (
        "PROJECT", "ENTITY", "ORGANIZATION", "MODE", "DISABLED", "DIR", "ROOT_DIR", "RUN_ID", "NAME", "RUN_NAME",
        "NOTES", "RUN_NOTES", "TAGS", "RUN_TAGS", "RUN_GROUP", "JOB_TYPE", "RUN_JOB_TYPE", "JOB_NAME", "JOB_SOURCE",
        "SWEEP_ID", "SWEEP_PARAM_PATH", "RESUME", "RESUMED", "RESUME_FROM", "FORK_FROM", "CONFIG", "CONFIG_PATHS",
        "ARTIFACTS", "REINIT", "ALLOW_VAL_CHANGE", "SYNC_TENSORBOARD", "LAUNCH", "LAUNCH_CONFIG_PATH", "FORCE",
        "ANONYMOUS", "X_LABEL", "_LABEL", "X_PRIMARY", "_PRIMARY", "X_FILES_DIR", "_FILES_DIR", "X_SYNC", "_SYNC",
        "X_SKIP_TRANSACTION_LOG", "_SKIP_TRANSACTION_LOG", "X_UPDATE_FINISH_STATE", "_UPDATE_FINISH_STATE",
        "X_RUNQUEUE_ITEM_ID", "_RUNQUEUE_ITEM_ID",
    )
)  # fmt: skip
"""Variables that say what a run is or where it goes: the section `tracking` decides that."""


def without_decided() -> list[str]:
    """Take them out of this process's environment, and so out of its children's; returns those that were set."""
    names = sorted(DECIDED & os.environ.keys())
    return [name for name in names if os.environ.pop(name)]


def tell(names: list[str]) -> None:
    """Say that these do not count."""
    if names:
        say(f"W&B: of the environment {', '.join(names)} do not count; what tracking.* says does", style="yellow")


@contextmanager
def own_tracking() -> Iterator[None]:
    """Inside, none of them is there, as a program that calls this one has left them; they come back after."""
    before = {name: os.environ[name] for name in DECIDED & os.environ.keys()}
    tell(without_decided())
    try:
        yield
    finally:
        os.environ.update(before)
