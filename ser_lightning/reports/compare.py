"""`ser compare A B ...`: finished systems on the same test utterances."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase

from ser_lightning.config.settings import names_and
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_json, write_text
from ser_lightning.reports.caveats import caveats
from ser_lightning.reports.compare_show import markdown, show
from ser_lightning.reports.comparison import Comparison, compared, differences
from ser_lightning.reports.named import opened
from ser_lightning.reports.pair import LEVEL
from ser_lightning.reports.same import disagreements, recorded_differently
from ser_lightning.reports.settings import Compare
from ser_lightning.reports.system import System

__all__ = ["Compare", "compare", "compare_systems", "show"]


def compare(words: list[str]) -> Comparison:
    """Compare runs, cross-validations and fusions by name or folder, and write the files that are asked for.

    Raises:
        ConfigError: fewer than two names, one twice, an unknown setting, or a file that is a folder.
        UserError: a system isn't finished, or they don't test the same utterances equally often.
    """
    names, settings = names_and(Compare, words)
    for key, file in (("markdown", settings.markdown), ("json", settings.json)):
        if file is not None and Path(file).is_dir():
            raise ConfigError(f"{key}={file} is a folder; name a file in it")
    comparison = compare_systems(opened("compare", names, settings))
    if settings.markdown is not None:
        write_text(Path(settings.markdown), markdown(comparison))
    if settings.json is not None:
        write_json(Path(settings.json), asdict(comparison))
    return comparison


def compare_systems(systems: Sequence[System]) -> Comparison:
    """Figures, differences and tests of two to 26 systems.

    Raises:
        UserError: they don't test the same utterances with the same labels, or not equally many seeds.
    """
    if len(systems) > len(ascii_uppercase):
        raise UserError(f"{len(systems)} systems are too many for one comparison; compare at most 26")
    for a, b in combinations(systems, 2):
        _refuse_unlike(a, b)
    lettered = dict(zip(ascii_uppercase, systems, strict=False))
    first = systems[0].pooled
    return Comparison(
        utterances=len(set(first.rows.ids)),
        speakers=len(set(first.rows.speakers)),
        seeds=len(set(first.seeds.tolist())),
        systems=[compared(letter, system) for letter, system in lettered.items()],
        differences=differences(lettered),
        level=LEVEL,
        caveats=caveats(lettered),
    )


def _refuse_unlike(a: System, b: System) -> None:
    mine, theirs = (len(set(system.pooled.seeds.tolist())) for system in (a, b))
    if mine != theirs:
        raise UserError(
            f"{a.name} has {mine} seed{'s' * (mine > 1)}, {b.name} {theirs}: differences need equally many; "
            f"cross-validate {(a if mine < theirs else b).name} again with seeds={max(mine, theirs)}"
        )
    apart = disagreements(a.name, a.pooled.rows, b.name, b.pooled.rows) or recorded_differently(a, b)
    if apart:
        raise UserError(
            f"{a.name} and {b.name} do not test the same: {'; '.join(apart)}. "
            "Compare systems that tested the same utterances, or finish the one that lacks some"
        )
