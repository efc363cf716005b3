"""What would stop a row is found before the first training: the last one must not fail after days of the others."""

from collections.abc import Mapping

from ser_lightning.config.schema import Config
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings as Crossval
from ser_lightning.errors import UserError
from ser_lightning.reproduce.recipe import Protocol, Recipe
from ser_lightning.reproduce.settings import Settings
from ser_lightning.runs.prepare import prepare
from ser_lightning.training.device import slots_for


def plan_ahead(chosen: Recipe, configs: Mapping[tuple[str, str], Config], settings: Settings) -> None:
    """Prove the folds of every row under every protocol; `configs` by the names of both.

    Raises:
        UserError: a row's device, slots, corpus or folds are not to be had.
    """
    protocols = {protocol.name: protocol for protocol in chosen.protocols}
    for (protocol, row), config in configs.items():
        try:
            slots_for(config.training, settings.jobs)
            plan(prepare(config), asked(protocols[protocol], settings))
        except UserError as error:
            raise UserError(f"{chosen.name}, protocol `{protocol}`, row `{row}`: {error}") from error


def asked(protocol: Protocol, settings: Settings) -> Crossval:
    """The settings of a row's cross-validation."""
    return Crossval(settings.jobs, settings.seeds, protocol.selected_on_test, crossval_dir=settings.crossval_dir)
