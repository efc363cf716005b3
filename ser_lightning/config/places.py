"""Folders and files among the settings: what `~` and variables of the environment mean is settled where they are read.

Else each of those who open them would have to, and a folder called `~` or `$SCRATCH` would be made where one forgot.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from ser_lightning.errors import ConfigError

NAMES = ("root", "file", "folder", "out", "markdown", "json")
"""Last words of keys that name a folder or a file; so does whatever ends in `_dir`."""
OF_THE_NODE = "scratch_dir"
"""Its variables are those of the node that a training runs on: they stay as they are written."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def expanded(key: str, written: str, place: str = "") -> str:
    """The folder or file that a setting names, without `~` and `$VARIABLES`.

    Args:
        place: where the setting was written, for an error.

    Raises:
        ConfigError: a variable is not set here, or a home folder is not known.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not (known := os.environ.get(name)):
            raise ConfigError(
                f"`{key}={written}`{place}: the variable {name} is not set here; set it, or write the folder out"
            )
        if VARIABLE.search(known):  # config.yaml, where this is written, would be read another way
            raise ConfigError(
                f"`{key}={written}`{place}: {name} is `{known}`, which names another variable; write it out"
            )
        return known

    known = written if key == OF_THE_NODE else VARIABLE.sub(value, written)
    home = os.path.expanduser(known)  # noqa: PTH111  Path's loses the `./` of a folder that is called `~`
    if home.startswith("~"):
        raise ConfigError(
            f"`{key}={written}`{place}: no home folder is known for `{home.partition('/')[0]}`; write the folder out, "
            "with `./` before a name that begins with `~`"
        )
    return home


def expand(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings with their folders and files expanded.

    Raises:
        ConfigError: as `expanded` does.
    """
    return {
        name: expanded(f"{prefix}{name}", value) if isinstance(value, str) and is_place(name) else value
        for name, value in settings.items()
    }


def expand_merged(merged: Any, place: Callable[[str], str]) -> None:
    """Expand the folders and files of a configuration before its interpolations are resolved.

    `${NAME}` is the environment's variable unless the configuration itself has such a key.

    Args:
        place: says of a dotted key where it was written, for an error.

    Raises:
        ConfigError: as `expanded` does.
    """
    raw: Any = OmegaConf.to_container(merged, resolve=False)
    own = "|".join(map(re.escape, raw))
    for key, written in _places(raw, ""):
        shown = re.sub(rf"\$(?={{(?:{own})}})", "\0", written)  # an interpolation: not ours
        text = expanded(key, shown, place(key))
        if key == OF_THE_NODE:
            text = re.sub(r"(?<!\\)\$(?={\w+})", r"\\$", text)  # else OmegaConf would look for a key of that name
        if (text := text.replace("\0", "$")) != written:
            OmegaConf.update(merged, key, text, merge=False)


def is_place(key: str) -> bool:
    """Whether a setting of this name or dotted key is a folder or a file."""
    name = key.rpartition(".")[2]
    return name in NAMES or name.endswith("_dir")


def _places(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _places(value, f"{prefix}{name}.")
        elif isinstance(value, str) and is_place(name):
            yield f"{prefix}{name}", value
