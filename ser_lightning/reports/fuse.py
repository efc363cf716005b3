"""`ser fuse A B ...`: late fusion of finished systems' logits, weighed on validation and scored on test."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.settings import names_and
from ser_lightning.console import say
from ser_lightning.reports.fuse_files import labels_of, write
from ser_lightning.reports.fusion import Fold, folds, refuse_unlike
from ser_lightning.reports.named import opened
from ser_lightning.reports.settings import Fuse
from ser_lightning.reports.system import System, open_system
from ser_lightning.reports.weights import given, parts_of, points
from ser_lightning.runs.vault import configuration_of, digest_of, record


def fuse(words: list[str]) -> System:
    """z = sum_m w_m z_m over the raw logits of runs, or fold by fold of cross-validations (DS-LSTM's fusion).

    The weights are those of highest validation UAR (`weights.choose` says how ties are broken). Its folder's name
    hashes the members, what they predicted and the settings: a fusion that was made before is returned as it stands.

    Raises:
        ConfigError: fewer than two names, one twice, an unknown setting, weights that don't sum to 1, a bad step.
        UserError: members aren't finished or complete, or don't share corpus, classes, folds and utterances.
    """
    names, settings = names_and(Fuse, words)
    fixed = None if settings.weights is None else given(settings.weights, len(names))
    parts = 0 if fixed else parts_of(settings.step, len(names))
    members = opened("fuse", names, settings)
    refuse_unlike(members)
    path = Path(settings.fusions_dir) / _id(members, fixed, parts)
    if (path / "result.json").exists():
        say(f"{path.name} is finished already")
        return open_system(str(path), settings)
    found = folds(members)
    _record(path.name, members, found, fixed or [parts] * len(members))
    told = {"members": [member.name for member in members], "weights": settings.weights, "step": settings.step}
    told["runs_dir"] = sorted({str(run.path.parent) for fold in found for run in fold.runs})
    tried = None if fixed else points(parts, len(members))
    write(path, members, found, [fold.weights(fixed, parts) for fold in found], told, tried)
    return open_system(str(path), settings)


def _id(members: Sequence[System], fixed: Sequence[float] | None, parts: int) -> str:
    told = {
        "members": [[member.name, _content(member)] for member in members],
        "weights": fixed or parts,
        "version": RESULT_VERSION,
    }
    return f"fusion-{digest_of(json.dumps(told))}"


def _content(member: System) -> str:
    """Digest of what the member predicted."""
    own = [member.path / name for name in ("predictions.csv", "predictions_last_epoch.csv")]
    runs = [run.predictions for _, found in sorted(member.runs.items()) for run in found]
    return sha256(b"".join(file.read_bytes() for file in (*own, *runs) if file.exists())).hexdigest()


def _record(name: str, members: Sequence[System], found: Sequence[Fold], weights: Sequence[float]) -> None:
    """In the vaults beside the runs, before anything is scored; folds and seeds of a member are one configuration."""
    configs = [run.read_config() for run in found[0].runs]
    # Sorted with their weights: the order of names makes no other configuration.
    digest = digest_of(json.dumps(sorted(zip(map(configuration_of, configs), weights, strict=True))))
    for fold in found:
        for runs_dir in sorted({run.path.parent for run in fold.runs}):
            record(fold.runs[0], configs[0], runs_dir, name, digest, "fusion", labels_of(members))
