"""The systems that a command line names."""

from collections.abc import Sequence
from itertools import combinations

from ser_lightning.errors import ConfigError
from ser_lightning.reports.settings import Places
from ser_lightning.reports.system import System, open_system


def opened(verb: str, names: Sequence[str], places: Places) -> list[System]:
    """Two or more different systems, in the order given.

    Raises:
        ConfigError: fewer, one of them twice, or one that is not there.
        UserError: one isn't finished.
    """
    if len(names) < 2:
        raise ConfigError(f"ser {verb}: name at least two runs or cross-validations, not {len(names)}")
    systems = [open_system(name, places) for name in names]
    for (a, first), (b, second) in combinations(zip(names, systems, strict=True), 2):
        if first.path == second.path or first.name == second.name:
            raise ConfigError(f"ser {verb}: `{a}` and `{b}` are the same {first.kind}; name each once")
    return systems
