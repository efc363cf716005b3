"""Where the runs behind a cross-validation or a fusion lie, which may have been moved together or apart."""

from collections.abc import Sequence
from pathlib import Path

from ser_lightning.config.sources import read
from ser_lightning.errors import UserError
from ser_lightning.runs.folder import RunFolder


def runs_of(path: Path, ids: Sequence[str], runs_dir: str | None) -> list[RunFolder]:
    """The finished runs `ids` of the cross-validation or fusion at `path`.

    They lie where `runs_dir` says; where that is None, in the folder that config.yaml names, as it stands or seen from
    beside the folder of `path`, or else in the `runs` there.

    Raises:
        UserError: one is in none of these.
    """
    folders = [Path(runs_dir)] if runs_dir is not None else _folders(path)
    return [_found(path, name, folders) for name in ids]


def _folders(path: Path) -> list[Path]:
    home = path.parent.parent
    own = read(path / "config.yaml").get("runs_dir", []) if (path / "config.yaml").is_file() else []
    named = [own] if isinstance(own, str) else own  # of a fusion's members, one each
    return list(dict.fromkeys([*map(Path, named), *(home / name for name in named), home / "runs"]))


def _found(path: Path, name: str, folders: Sequence[Path]) -> RunFolder:
    for folder in folders:
        if (run := RunFolder(folder / name)).finished:
            return run
    places = ", ".join(f"{folder}/" for folder in folders)
    raise UserError(
        f"{path.name}: its run {name} is not in {places}; name the folder of its runs with runs_dir=..., or start the "
        "command that made it again"
    )
