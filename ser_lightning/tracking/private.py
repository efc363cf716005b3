"""What wandb tells the server beside what is logged, and how little of it `tracking.private` leaves."""

from typing import Any

SILENT: dict[str, Any] = {
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "console": "off",
    "host": "private",
    "program": "private",
}
"""Settings of `wandb.init`. Where host and program are not given, wandb finds them out."""

ENVIRONMENT = ("platform", "packages", "gpu", "command")
"""Entries of a run's environment.json that say the same."""
