"""Components by name: one table a kind, and the one way to find and build one.

A new component is a file with its class, a YAML under conf/ and a line here. A package of a user adds to a
table through an entry point of the group `ser_lightning.<kind>`: `name = "module:Class"`.
"""

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

from ser_lightning.config.plugins import entry_points, package_of, reason, unreadable
from ser_lightning.errors import ConfigError, UserError

TABLES: dict[str, dict[str, str]] = {
    "corpus": {
        "emodb": "ser_lightning.corpora.emodb:EmoDB",
        "ravdess": "ser_lightning.corpora.ravdess:RAVDESS",
        "savee": "ser_lightning.corpora.savee:SAVEE",
        "iemocap": "ser_lightning.corpora.iemocap:IEMOCAP",
        "cremad": "ser_lightning.corpora.cremad:CREMAD",
        "table": "ser_lightning.corpora.table:Table",
        "demo": "ser_lightning.corpora.demo:Demo",
    },
    "extractor": {
        "mfcc": "ser_lightning.features.mfcc:MFCC",
        "log_mel": "ser_lightning.features.log_mel:LogMel",
        "functionals": "ser_lightning.features.functionals:Functionals",
    },
    "split": {
        "speakers": "ser_lightning.data.splits:Speakers",
        "kfold": "ser_lightning.data.splits:KFold",
        "lists": "ser_lightning.data.lists:Lists",
        "ravdess_folds": "ser_lightning.data.lists:RavdessFolds",
        "random_kfold": "ser_lightning.data.splits:RandomKFold",
        "loso": "ser_lightning.data.leave_out:LeaveSpeakerOut",
        "leave_session_out": "ser_lightning.data.leave_out:LeaveSessionOut",
        "file": "ser_lightning.data.split_file:FromFile",
    },
    "model": {
        "mfcc_lstm": "ser_lightning.models.mfcc_lstm:MFCCLSTM",
        "cnn_lstm": "ser_lightning.models.cnn_lstm:CNNLSTM",
        "ds_lstm": "ser_lightning.models.ds_lstm.model:DSLSTM",
        "fused": "ser_lightning.models.fused:Fused",
        "linear_svm": "ser_lightning.models.linear_svm:LinearSVM",
    },
    "loss": {
        "cross_entropy": "ser_lightning.training.losses:CrossEntropy",
        "focal": "ser_lightning.training.losses:Focal",
    },
    "learner": {
        "lightning": "ser_lightning.training.lightning_learner:LightningLearner",
        "classical": "ser_lightning.training.classical_learner:ClassicalLearner",
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
        ConfigError: no component of that kind has the name, or two plug-ins have.
    """
    known = table(kind)
    if name not in known:
        lost = "".join(f"; the plug-ins of {package} cannot be read" for package in unreadable())
        raise ConfigError(f"unknown {kind} `{name}`{hint(str(name), known)}{lost}")
    if name not in TABLES[kind] and len(points := _plug_ins(kind, name)) > 1:
        who = " and ".join(f"{point.value} {package_of(point)}" for point in points)
        raise ConfigError(f"{kind} `{name}` is the name of two plug-ins, {who}; rename or uninstall one")
    return known[name]


def _plug_ins(kind: str, name: str) -> list[EntryPoint]:
    return [point for point in entry_points(group=f"ser_lightning.{kind}") if point.name == name]


@contextmanager
def blamed(kind: str, name: str) -> Iterator[None]:
    """What fails inside is told as the fault of the plug-in `name`; a bug of the project keeps its traceback.

    Raises:
        ConfigError: it names the plug-in, its package and the reason.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not (points := _plug_ins(kind, name)):
            raise
        (point,) = points
        raise ConfigError(
            f"{kind} `{name}`: the plug-in {point.value} {package_of(point)} cannot be used: {reason(error)}; "
            "mend or uninstall that package, or choose another"
        ) from error


def load(path: str) -> Any:
    """Import the object that `module:name` points to.

    Raises:
        ConfigError: torch can't be imported, because some package's entry points are malformed.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except TypeError as error:
        # torch and others read the entry points of all packages, and fail at the first malformed one.
        if broken := unreadable():
            raise ConfigError(f"malformed entry points: mend or uninstall {', '.join(broken)}") from error
        raise


def build(kind: str, settings: Mapping[str, Any], *arguments: Any, selector: str = "name") -> Any:
    """Construct the component that `settings[selector]` names from the other settings, by keyword.

    Raises:
        ConfigError: there is no such component, it is a broken plug-in, or its constructor refuses a value.
        UserError: what the component itself says.
    """
    name = settings[selector]
    keywords = {key: value for key, value in settings.items() if key != selector}
    with blamed(kind, name):
        constructor = load(target(kind, name))
    try:
        return constructor(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind} `{name}`: {' '.join(str(error).split())}") from error
