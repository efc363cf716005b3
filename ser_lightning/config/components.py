"""Components by name: one table a kind, and the one way to find and build one.

A new component is a file with its class, a YAML under conf/ and a line here. A package of a user adds to a
table through an entry point of the group `ser_lightning.<kind>`: `name = "module:Class"`.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from ser_lightning.errors import ConfigError

TABLES: dict[str, dict[str, str]] = {
    "corpus": {
        "emodb": "ser_lightning.corpora.emodb:EmoDB",
        "ravdess": "ser_lightning.corpora.ravdess:RAVDESS",
        "savee": "ser_lightning.corpora.savee:SAVEE",
        "table": "ser_lightning.corpora.table:Table",
        "demo": "ser_lightning.corpora.demo:Demo",
    },
    "extractor": {
        "mfcc": "ser_lightning.features.mfcc:MFCC",
        "log_mel": "ser_lightning.features.log_mel:LogMel",
    },
    "split": {
        "speakers": "ser_lightning.data.splits:Speakers",
        "kfold": "ser_lightning.data.splits:KFold",
        "lists": "ser_lightning.data.splits:Lists",
        "random_kfold": "ser_lightning.data.splits:RandomKFold",
    },
    "model": {
        "mfcc_lstm": "ser_lightning.models.mfcc_lstm:MFCCLSTM",
        "cnn_lstm": "ser_lightning.models.cnn_lstm:CNNLSTM",
        "ds_lstm": "ser_lightning.models.ds_lstm.model:DSLSTM",
        "fused": "ser_lightning.models.fused:Fused",
    },
    "learner": {
        "lightning": "ser_lightning.training.lightning_learner:LightningLearner",
    },
}


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` when something close is known, else the list of what is."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(known) or 'none'}"


def table(kind: str) -> dict[str, str]:
    """`module:Class` of every component of `kind` by name: the project's own, then those of plug-ins.

    Raises:
        ConfigError: a plug-in takes the name of one of the project's own.
    """
    own = TABLES[kind]
    added = {point.name: point.value for point in entry_points(group=f"ser_lightning.{kind}")}
    for name in sorted(own.keys() & added.keys()):
        raise ConfigError(
            f"{kind} `{name}`: the plug-in {added[name]} hides the built-in {own[name]}; "
            "give its entry point another name"
        )
    return own | added


def target(kind: str, name: str) -> str:
    """The `module:Class` registered as `name` among the components of `kind`.

    Raises:
        ConfigError: no component of that kind has the name.
    """
    known = table(kind)
    if name not in known:
        raise ConfigError(f"unknown {kind} `{name}`{hint(str(name), known)}")
    return known[name]


def load(path: str) -> Any:
    """Import the object that `module:name` points to."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def build(kind: str, settings: Mapping[str, Any], *arguments: Any, selector: str = "name") -> Any:
    """Construct the component that `settings[selector]` names from the other settings, by keyword.

    Raises:
        ConfigError: there is no such component, or its constructor refuses a value.
        UserError: what the component itself says.
    """
    name = settings[selector]
    keywords = {key: value for key, value in settings.items() if key != selector}
    constructor = load(target(kind, name))
    try:
        return constructor(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind} `{name}`: {' '.join(str(error).split())}") from error
