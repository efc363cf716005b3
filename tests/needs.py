"""What some tests need and a machine may lack. Where it does they are skipped, and pytest says so as it starts."""

import shutil
from collections.abc import Callable
from pathlib import Path

from .slurm.cluster import ACCOUNTING, packages
from .slurm.cluster import missing as no_slurm
from .sweeps.postgres import missing as no_postgres

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Beside the checkout: real speech in `data`, descriptions of published systems in `specs`."""

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


def no_accounting() -> str:
    return f"Debian: apt-get install {' '.join(lacking)}" if (lacking := packages(ACCOUNTING)) else ""


def no_chromium() -> str:
    return "" if CHROMIUM else "no Chromium on PATH (Debian: apt-get install chromium)"


def no_speech() -> str:
    return "" if (SHARED / "data").is_dir() else "EMO-DB and RAVDESS are not beside the checkout (../shared/data)"


def no_specs() -> str:
    return "" if (SHARED / "specs").is_dir() else "the descriptions are not beside the checkout (../shared/specs)"


NEEDS: dict[str, tuple[Callable[[], str], float]] = {
    "a SLURM cluster": (no_slurm, 3.5),
    "SLURM's accounting": (no_accounting, 0.0),
    "a PostgreSQL server": (no_postgres, 0.5),
    "pages in a browser": (no_chromium, 0.3),
    "real speech": (no_speech, 0.7),
    "the authors' logs": (no_specs, 0.0),
}
"""What is tested, why it can't be here (empty where it can), and about how many minutes it takes on two slow cores."""

REST = 6.0
"""Minutes of all other tests on two slow cores: those of 2.0 GHz on which 10 million additions in Python take 2 s."""


def lines() -> list[str]:
    """How long all tests take here, and what is skipped for want of what."""
    lacking = {name: why for name, (missing, _) in NEEDS.items() if (why := missing())}
    minutes = REST + sum(minutes for name, (_, minutes) in NEEDS.items() if name not in lacking)
    head = f"all tests: about {minutes / 2:.0f} to {minutes:.0f} minutes on two cores; of what they need, "
    told = [f"skipped: {name}: {why}" for name, why in lacking.items()]
    return [head + ("these are missing:" if told else "nothing is missing"), *told]
