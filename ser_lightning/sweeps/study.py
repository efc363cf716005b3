"""A study is a folder and Optuna's record of its trials; both are made together, and found again together."""

import uuid
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from ser_lightning.config.components import hint
from ser_lightning.console import say
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_text
from ser_lightning.sweeps.frozen import Frozen, refused
from ser_lightning.sweeps.lock import SharedLock, holding
from ser_lightning.sweeps.parameters import Scalar
from ser_lightning.sweeps.passwords import has_password, without_password
from ser_lightning.sweeps.samplers import pruner, sampler
from ser_lightning.sweeps.storage import JOURNAL, open_storage

ID, TRIALS, FOLDER = "id", "trials", "folder"
"""Attributes of the study in its storage: which folder's it is, how many trials it has in all, where the folder was."""
START = "start"
"""Attribute of a trial: the starting point that it is."""
GRACE = 600.0
"""Seconds after which the folder's lock of another host that died is broken: filling a long study takes a while."""


class StudyFolder:
    """`studies/NAME`: what is searched, the journal, who works on which trial."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = self.path.name
        self.frozen, self.id = self.path / "study.yaml", self.path / "id"
        self.journal, self.lock = self.path / JOURNAL, self.path / ".lock"
        self.owners = self.path / "owners"

    @classmethod
    def find(cls, name: str, studies: Path = Path("studies")) -> "StudyFolder":
        """A study by its name under `studies`, or by its folder.

        Raises:
            UserError: there is none.
        """
        for path in (studies / name, Path(name)):
            if (path / "study.yaml").is_file():
                return cls(path)
        known = sorted(path.parent.name for path in studies.glob("*/study.yaml"))
        raise UserError(f"no study `{name}` under {studies}/{hint(name, known)}; `ser sweep` makes one")


def open_study(folder: StudyFolder, frozen: Frozen | None = None, changed: bool = False) -> Study:
    """The study of a folder, ready for `Claims`.

    With `frozen` it is made where there is none, or resumed: the same again, or more trials. Without, it has to be
    there already. All its trials wait in the storage from the start: taking one that waits is exact in every storage,
    while asking for a new one may go past the total when several ask at once.

    Args:
        changed: accept another base or search space than the study began with, as far as `refused` does not object.

    Raises:
        ConfigError: `frozen` differs from what the study began with, result version included, or has fewer trials; the
            name is taken in the storage by a study of another folder.
        UserError: there is no such study; the storage has lost it, or does not answer.
    """
    if frozen is None and not folder.frozen.exists():
        raise UserError(f"{folder.path}: no study; `ser sweep` makes one")
    folder.path.mkdir(parents=True, exist_ok=True)
    with holding(SharedLock(folder.lock, GRACE)):
        known = Frozen.read(folder.frozen) if folder.frozen.exists() else None
        if frozen and known:
            _check_same(folder, known, frozen, changed)
        if frozen and has_password(frozen.study.storage):
            _close(folder)
        now = frozen or known
        assert now is not None  # one of the two: checked above
        storage = open_storage(now.study.storage, folder.path)
        study = _loaded(folder, now, storage) if known else _made(folder, now, storage)
        if frozen:
            _check_directions(study, now)
            _new_points(study, now)  # nothing is written for a study whose points have no room
            frozen.write(folder.frozen)
        if study.user_attrs.get(TRIALS) != now.study.trials:
            _fill(study, now)
    return study


def _check_same(folder: StudyFolder, known: Frozen, frozen: Frozen, changed: bool) -> None:
    known.check_version(folder.path)
    if frozen.study.trials < known.study.trials:
        raise ConfigError(
            f"study.trials={frozen.study.trials}: {folder.path} has {known.study.trials} trials already; "
            "their number can only grow"
        )
    if found := list(refused(known, frozen)):
        raise ConfigError(
            f"{folder.path} cannot go on with another {'; '.join(found)}; "
            "resume it with what it began with, or choose another study.name"
        )
    if not changed and (found := known.differences(frozen)):
        raise ConfigError(
            f"{folder.path} began with something else: {'; '.join(found)}; resume it with what it began with, choose "
            "another study.name, or go on all the same with changed=true"
        )


def _close(folder: StudyFolder) -> None:
    folder.path.chmod(0o700)
    say(
        f"study.storage has a password, which {folder.frozen} keeps: the folder is closed to other users now; "
        "~/.pgpass or PGPASSWORD would keep it out of files and of lists of processes",
        style="yellow",
    )


def _made(folder: StudyFolder, frozen: Frozen, storage: BaseStorage) -> Study:
    """A new study; one that an earlier start was interrupted in making is completed."""
    if not folder.id.exists():
        write_text(folder.id, f"{uuid.uuid4()}\n")
    directions = list(frozen.study.objectives.values())
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=frozen.study.name,
            directions=directions,
            sampler=sampler(frozen.study),
            pruner=pruner(frozen.study),
        )
    except optuna.exceptions.DuplicatedStudyError:
        return _loaded(folder, frozen, storage)
    _mark(study, folder)
    return study


def _mark(study: Study, folder: StudyFolder) -> None:
    study.set_user_attr(FOLDER, str(folder.path))
    study.set_user_attr(ID, _id(folder))


def _id(folder: StudyFolder) -> str:
    return folder.id.read_text(encoding="utf-8").strip() if folder.id.exists() else ""


def _loaded(folder: StudyFolder, frozen: Frozen, storage: BaseStorage) -> Study:
    name = frozen.study.name
    try:
        study = optuna.load_study(
            study_name=name, storage=storage, sampler=sampler(frozen.study), pruner=pruner(frozen.study)
        )
    except KeyError as error:
        raise UserError(
            f"{folder.path}: its storage ({_storage(frozen)}) knows no study `{name}`: it was removed there, or is "
            "another one than it was; bring it back, or begin anew with another study.name"
        ) from error
    attributes = study.user_attrs
    if ID not in attributes and not study.get_trials(deepcopy=False):
        _mark(study, folder)  # its maker was interrupted between creating and marking it
    elif attributes.get(ID, "") != _id(folder):
        whose = attributes.get(FOLDER, "another program")
        raise ConfigError(
            f"study.name={name}: {_storage(frozen)} already has a study of that name, of {whose}; "
            "choose another study.name"
        )
    return study


def _storage(frozen: Frozen) -> str:
    return without_password(frozen.study.storage) if frozen.study.storage else JOURNAL


def _check_directions(study: Study, frozen: Frozen) -> None:
    own = [direction.name.lower() for direction in study.directions]
    if own != list(frozen.study.objectives.values()):
        raise ConfigError(
            f"study.objectives: the trials of `{frozen.study.name}` were scored to {' and '.join(own)}; "
            "other objectives are another study: choose another study.name"
        )


def _new_points(study: Study, frozen: Frozen) -> list[dict[str, Scalar]]:
    """Starting points that are no trial yet, none of them twice."""
    points = [frozen.searched.fixed(point) for point in frozen.start]
    known = study.get_trials(deepcopy=False)
    tried = [trial.user_attrs.get(START) for trial in known]
    new = [point for i, point in enumerate(points) if point not in tried and point not in points[:i]]
    room = frozen.study.trials - len(known)
    if len(new) > room:
        raise ConfigError(
            f"start: {len(new)} starting points to try, and study.trials={frozen.study.trials} leaves room for {room}; "
            "raise it"
        )
    return new


def _fill(study: Study, frozen: Frozen) -> None:
    """Let trials wait until there are as many as there should be, starting points first."""
    for point in _new_points(study, frozen):
        study.enqueue_trial(point, user_attrs={START: point})
    for _ in range(frozen.study.trials - len(study.get_trials(deepcopy=False))):
        study.add_trial(create_trial(state=TrialState.WAITING))
    study.set_user_attr(TRIALS, frozen.study.trials)
