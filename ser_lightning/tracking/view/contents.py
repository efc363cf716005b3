"""What a view shows: which runs, which sweeps, and figures with intervals that W&B itself cannot work out."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ser_lightning.errors import ConfigError

LONGEST = 128
"""Characters that W&B takes as a report's title."""
MANGLED = "'\"=<>\\"
"""Characters that wandb-workspaces changes, or stumbles over, inside a filter."""


@dataclass(frozen=True)
class Axis:
    """A parameter of a sweep, by its dotted key in the runs' configuration."""

    key: str
    log: bool = False


@dataclass(frozen=True)
class Sweep:
    """A study whose trials are drawn as parallel coordinates."""

    group: str
    axes: Sequence[Axis]
    objectives: Mapping[str, str]
    """Direction, maximize or minimize, by the key of the summary that has the value."""


@dataclass(frozen=True)
class View:
    """A workspace and a report, both saved under `title`.

    Raises:
        ConfigError: W&B does not take the title, or a group cannot be named in a filter.
    """

    title: str
    project: str
    entity: str | None
    """None: the key's own."""
    groups: Sequence[str]
    """W&B groups whose runs are shown; none: all of the project."""
    sweeps: Sequence[Sweep]
    figures: str
    """A Markdown table of UAR with intervals."""

    def __post_init__(self) -> None:
        for group in self.groups:
            if found := [c for c in group if c in MANGLED]:
                raise ConfigError(f"group `{group}`: a filter of W&B takes no `{found[0]}`; choose tracking.group anew")
        if len(self.title) > LONGEST:
            raise ConfigError(
                f"title: {len(self.title)} characters, but W&B takes {LONGEST}; give a shorter one with title=..."
            )
        if symbols := [c for c in self.title if unicodedata.category(c).startswith("S")]:
            raise ConfigError(f"title: W&B takes no `{symbols[0]}` in `{self.title}`; give another with title=...")
