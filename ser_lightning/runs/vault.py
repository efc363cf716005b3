"""The test vault: every look at a test part, by which configuration and when, in one file beside the runs.

Each further configuration that is scored on the same speakers makes the best of the figures a little less of a
test: the number of looks has to stand beside them.
"""

import csv
import fcntl
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from ser_lightning.config.identity import identity
from ser_lightning.config.schema import Config
from ser_lightning.files import read_csv

FILE = "test_looks.csv"


@dataclass(frozen=True)
class Look:
    """One row; `kind` says what was looked at: the chosen checkpoint, the last epoch, every epoch, a fusion."""

    time: str
    run: str
    configuration: str
    """Digest of the configuration without seed and fold: repeats of one experiment are one configuration."""
    kind: str
    experiment: str
    corpus: str
    labels: str
    test_speakers: str

    @classmethod
    def now(
        cls, run: str, configuration: str, kind: str, config: Config, labels: Iterable[str], speakers: Iterable[str]
    ) -> "Look":
        time = datetime.now(UTC).isoformat(timespec="seconds")
        corpus, experiment = config.corpus["name"], config.experiment or ""
        return cls(time, run, configuration, kind, experiment, corpus, "; ".join(labels), " ".join(speakers))


def configuration_of(config: Config) -> str:
    """12 hex digits of what can change a configuration's numbers but the seed and the fold."""
    tree = identity(config)
    del tree["seed"], tree["training"]["keep_epochs"]
    tree["split"].pop("fold", None)
    return digest_of(json.dumps(tree, sort_keys=True))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def record(runs_dir: Path, look: Look) -> None:
    """Append before predicting: a look that fails half-way has still been one."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    with (runs_dir / FILE).open("a", newline="", encoding="utf-8") as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Look)])
        if out.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(look))
        out.write(text.getvalue())


def looks(runs_dir: Path) -> list[Look]:
    """Every look so far, oldest first."""
    path = runs_dir / FILE
    return [Look(**row) for row in read_csv(path)] if path.exists() else []


def looks_at(found: Sequence[Look], corpus: str, speakers: Iterable[str]) -> list[Look]:
    """Those at any of the speakers, whatever the split was called: a fold in another cross-validation counts too."""
    wanted = set(speakers)
    return [look for look in found if look.corpus == corpus and wanted & set(look.test_speakers.split(" "))]


def configurations(found: Iterable[Look]) -> int:
    """How many different configurations looked."""
    return len({look.configuration for look in found})
