"""A configuration written as an experiment: choices of conf/, and the values in which it differs from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ser_lightning.config import sources
from ser_lightning.config.compose import bind, compose
from ser_lightning.config.identity import identity
from ser_lightning.config.schema import Config, Tracking
from ser_lightning.config.shapes import MISSING
from ser_lightning.config.tree import leaves
from ser_lightning.config.yaml_text import dump, literal
from ser_lightning.errors import ConfigError
from ser_lightning.files import write_text

PARTS = ("corpus", "features", "split", "model", "training")

Files = Mapping[Path, str]


def experiment_files(path: Path, config: Config, comment: str) -> Files:
    """Text by file: the experiment at `path`, and a choice of its own for a section that no choice leads to.

    `experiment=NAME corpus.root=...` composes them to a configuration with the identity of `config`. Machine-bound
    settings (folders, accelerator) are left out, except the file of split=file.

    Args:
        path: CONF/experiment/NAME.yaml.
        comment: a line that says what it is.

    Raises:
        ConfigError: `path` is elsewhere, or another choice has its name.
    """
    if path.suffix != ".yaml" or path.parent.name != "experiment":
        raise ConfigError(f"out={path}: experiments are found as CONF/experiment/NAME.yaml, with any folder for CONF")
    conf, name = path.parent.parent, path.stem
    conf.mkdir(parents=True, exist_ok=True)
    folders = sources.search_path(str(conf))
    wanted = _identity(config)
    defaults, values, files = [], dict[str, Any](), dict[Path, str]()
    for group in PARTS:
        closest = _closest(group, config, folders)
        if closest is None:
            files[conf / group / f"{name}.yaml"] = _text(comment, wanted[group])
        choice, more = closest or (name, {})
        defaults.append({group: choice})
        values |= {group: more} if more else {}
    values |= {"seed": config.seed} if config.seed else {}
    if config.tracking.project != Tracking().project:
        values["tracking"] = {"project": config.tracking.project}
    files[path] = _text(comment, {"defaults": defaults, **values})
    for file, text in files.items():
        _check_free(file, text, folders)
    return files


def write_experiment(path: Path, files: Files, config: Config) -> None:
    """Write what `experiment_files` made, and see that it composes to `config`.

    Raises:
        ConfigError: it does not; nothing is left.
    """
    new = [file for file in files if not file.exists()]
    for file in new:
        write_text(file, files[file])
    try:
        words = [f"experiment={path.stem}", f"corpus.root={config.corpus.get('root')}"]
        found = dict(leaves(_identity(compose(words, str(path.parent.parent)).config)))
        wanted = dict(leaves(_identity(config)))
        if wrong := sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)):
            raise ConfigError(f"{path}: would compose to something else at {', '.join(wrong)}")
    except ConfigError:
        for file in new:
            file.unlink()
        raise


def _identity(config: Config) -> dict[str, Any]:
    tree = identity(config)
    if "file" in config.split:
        tree["split"]["file"] = config.split["file"]
    return tree


def _closest(group: str, config: Config, folders: Sequence[Path]) -> tuple[str, dict[str, Any]] | None:
    """The choice that least has to be written over, and what; None where each has keys that cannot be taken away."""
    wanted, found = _identity(config)[group], []
    for choice in sources.choices(group, folders):
        given = _given(group, choice, config, folders)
        more = None if given is None else _more(wanted, given)
        if more is not None:
            found.append((choice, more))
    return min(found, key=lambda one: len(list(leaves(one[1]))), default=None)


def _given(group: str, choice: str, config: Config, folders: Sequence[Path]) -> dict[str, Any] | None:
    """A choice's section with its defaults, less what it leaves to be given; None where it does not fit the rest."""
    layers = sources.layers(group, choice, folders)[0]
    section: Any = OmegaConf.to_container(OmegaConf.merge(*(layer.values for layer in layers)))
    tree = literal(asdict(config))
    if section.get("name") != tree[group].get("name") or section.keys() - tree[group].keys():
        return None  # known before the schema is asked, which takes a while
    lacking = [key for key, value in section.items() if value == MISSING]
    tree[group] = section | {key: tree[group].get(key) for key in lacking}
    try:
        found = _identity(bind(tree, choice, resolved=False))[group]
    except ConfigError:
        return None
    return {key: value for key, value in found.items() if key not in lacking}


def _more(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What has to be written over `given` to have `wanted`; None where it has keys that `wanted` lacks."""
    if given.keys() - wanted.keys():
        return None
    found = {}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(there := given.get(key), dict):
            more = _more(value, there)
            if more is None:
                return None
            if more:
                found[key] = more
        elif key not in given or json.dumps(value) != json.dumps(given[key]):
            found[key] = value
    return found


def _text(comment: str, tree: Mapping[str, Any]) -> str:
    return f"# {comment}\n{dump(literal(tree))}"


def _check_free(file: Path, text: str, folders: Sequence[Path]) -> None:
    known = sources.choices(file.parent.name, folders).get(file.stem, file)
    same = known.resolve() == file.resolve() and (not file.exists() or file.read_text(encoding="utf-8") == text)
    if not same:
        raise ConfigError(f"{known} exists and is something else: name the experiment with out={_other(file)}")


def _other(file: Path) -> Path:
    return file.parent.parent / "experiment" / f"{file.stem}_2.yaml"
