"""`ser reproduce NAME`: every row of a published table under its own protocol and an honest one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Config
from ser_lightning.config.settings import taken
from ser_lightning.config.sources import choices, search_path
from ser_lightning.console import say
from ser_lightning.crossval.crossval import crossval
from ser_lightning.errors import ConfigError, StoppedError, UserError
from ser_lightning.files import write_json, write_text
from ser_lightning.reports.fuse import fuse
from ser_lightning.reproduce.ahead import asked, plan_ahead
from ser_lightning.reproduce.fixed import refuse_fixed
from ser_lightning.reproduce.recipe import Found, Protocol, Recipe, RecipeRow, recipe
from ser_lightning.reproduce.settings import Settings
from ser_lightning.reproduce.table import as_dict, markdown

HALVES = "weights=[0.5,0.5]"
"""The paper averages the logits of two branches that share nothing: of two trainings, then."""


def reproduce(words: list[str], conf: str | None = None) -> list[Found]:
    """Run what is not finished, print the tables, and write the files that are asked for.

    Args:
        words: the recipe's name, settings, and overrides of what neither a protocol nor a row sets.
        conf: a folder searched before the packaged conf/.

    Raises:
        ConfigError: no such recipe, words that set what it sets, or that no row can be composed with.
        UserError: a row's folds can't be made, before any training; or a row failed, and the others are there.
    """
    settings, rest = taken(Settings, words)
    if not rest or "=" in rest[0]:
        raise ConfigError(f"ser reproduce: name what ({', '.join(choices('reproduce', search_path(conf)))})")
    chosen = recipe(rest[0], search_path(conf))
    refuse_fixed(chosen, rest[1:])
    configs = {
        (protocol.name, row.name): compose([*chosen.base, *protocol.words, *row.words, *rest[1:]], conf).config
        for protocol in chosen.protocols
        for row in chosen.rows
        if row.words
    }
    plan_ahead(chosen, configs, settings)
    found = [one for protocol in chosen.protocols for one in _under(chosen, protocol, configs, settings)]
    _tell(found, settings)
    if failed := [f"{one.row.title}, {one.protocol.name}: {one.why}" for one in found if one.result is None]:
        raise UserError("not all rows are there:\n  " + "\n  ".join(failed))
    return found


def _under(
    chosen: Recipe, protocol: Protocol, configs: Mapping[tuple[str, str], Config], settings: Settings
) -> list[Found]:
    """All rows under one protocol, fused ones after those that are trained, in the recipe's order."""
    ids: dict[str, str] = {}
    found: dict[str, Found] = {}
    for row in sorted(chosen.rows, key=lambda row: bool(row.fuse)):
        say(f"\n{protocol.name}: {row.title}", style="bold")
        try:
            result = (
                _fused(row, ids, configs[protocol.name, row.fuse[0]].runs_dir, settings)
                if row.fuse
                else _trained(configs[protocol.name, row.name], protocol, settings)
            )
            ids[row.name] = result["id"]
            found[row.name] = Found(protocol, row, result)
        except StoppedError:
            raise
        except UserError as error:
            found[row.name] = Found(protocol, row, None, str(error))
    return [found[row.name] for row in chosen.rows]


def _trained(config: Config, protocol: Protocol, settings: Settings) -> dict[str, Any]:
    return crossval(config, asked(protocol, settings)).read_result()


def _fused(row: RecipeRow, ids: Mapping[str, str], runs_dir: str, settings: Settings) -> dict[str, Any]:
    if missing := [name for name in row.fuse if name not in ids]:
        raise UserError(f"{', '.join(missing)} failed")
    places = [f"runs_dir={runs_dir}", f"crossval_dir={settings.crossval_dir}", f"fusions_dir={settings.fusions_dir}"]
    return dict(fuse([*(ids[name] for name in row.fuse), HALVES, *places]).result)


def _tell(found: Sequence[Found], settings: Settings) -> None:
    text = markdown(found)
    print(text)
    if settings.markdown:
        write_text(Path(settings.markdown), text)
        say(f"tables: {settings.markdown}")
    if settings.json:
        write_json(Path(settings.json), [as_dict(one) for one in found])
        say(f"figures: {settings.json}")
