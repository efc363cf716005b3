"""The W&B server as this project talks to it: where it is, whether it can be reached, what it is not told."""

import os
import re
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

PRIVATE = {
    "WANDB_ERROR_REPORTING": "false",  # also switches off the SDK's telemetry requests
    "WANDB_SILENT": "true",
    "WANDB_INIT_TIMEOUT": "30",
    "WANDB_FINISH_TIMEOUT": "30",
    "WANDB_LOGIN_TIMEOUT": "20",  # of the question for a key, at a terminal
}
"""Environment defaults; what the user has set wins."""


def unanswered(seconds: float = 5) -> str:
    """Why the server can't be reached, found out within `seconds`; empty where it, or a proxy for it, can."""
    url = urlsplit(server())
    if url.scheme in getproxies() and not proxy_bypass(url.hostname or ""):
        return ""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname or "", port), timeout=seconds).close()
    except OSError as error:
        return f"{url.hostname}:{port} does not answer ({error})"
    return ""


def key_error(said: str) -> str:
    """What is wrong with the key, where that is what wandb said; empty otherwise."""
    known = "no valid key" if "API key" in said else ""
    if re.search("(error|answered) 401", said):
        known = f"{server()} does not know the key"
    return known and f"{known}; `wandb login`, or set WANDB_API_KEY"


def server() -> str:
    """The URL that wandb talks to: of the environment, of `wandb login --host`, or its default."""
    from wandb.sdk import wandb_setup  # no public name tells it without starting wandb's service

    return os.environ.get("WANDB_BASE_URL") or str(wandb_setup.singleton().settings.base_url)
