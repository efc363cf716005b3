"""What the verbs on finished things take beside their names; light, so that a misspelt key is answered at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Folders in which a name is looked up when it is no folder itself."""

    runs_dir: str | None = None
    """Folder of the run folders; null: runs/, and for a cross-validation the one that its configuration names."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
    fusions_dir: str = "fusions"
    """Folder of the fusions."""


@dataclass(frozen=True)
class Compare(Places):
    """What `ser compare` takes beside the names."""

    markdown: str | None = None
    """File for the comparison as Markdown."""
    json: str | None = None
    """File for the comparison as JSON: fractions, not points."""


@dataclass(frozen=True)
class Fuse(Places):
    """What `ser fuse` takes beside the names."""

    weights: list[float] | None = None
    """A weight a member, in the order of the names, for every fold; null: each fold's validation part chooses."""
    step: float = 0.05
    """Distance of the weights that are tried; it must divide 1."""


@dataclass(frozen=True)
class Folders(Places):
    """Where studies, cross-validations and runs lie."""

    studies_dir: str = "studies"
    """Folder of the studies."""


@dataclass(frozen=True)
class Report(Folders):
    """Settings of `ser report`."""

    out: str = "report.html"
    """HTML file to write; one that is there is replaced whole."""


@dataclass(frozen=True)
class View(Folders):
    """Settings of `ser wandb view`."""

    project: str | None = None
    """W&B project; null: that of what is named, and ser-lightning where nothing is."""
    entity: str | None = None
    """W&B team or user; null: that of what is named, or else the key's own."""
    title: str | None = None
    """What the workspace and the report are called; null: after what is named."""
