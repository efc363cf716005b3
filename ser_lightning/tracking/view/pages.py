"""The workspace and the report of a view, not saved yet."""

from collections.abc import Sequence

import wandb_workspaces.reports.v2.interface as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.expr import And, Metric
from wandb_workspaces.reports.v2.interface import BlockTypes, PanelTypes

from ser_lightning.tracking.view.contents import Sweep, View
from ser_lightning.tracking.view.panels import (
    HIGH,
    LOW,
    UAR,
    confusion_matrices,
    coordinates,
    curves_by_group,
    uar_by_model,
)

TRAINED = ("train", "fold", "trial", "final")
"""Job types of runs that have epochs."""
SUMMED = ("summary", "train")
"""Job types whose test score is not a part of another run's."""
COLUMNS = [f"summary:{key}" for key in ("final/validation/uar", UAR, LOW, HIGH)]
"""Pinned in the table of runs."""


def workspace(view: View, entity: str) -> ws.Workspace:
    """Runs in groups by group and job type, for which each curve is one line with its spread."""
    sections: dict[str, Sequence[PanelTypes]] = {
        "UAR by model": uar_by_model(),
        "Curves by group": curves_by_group(),
        **{f"Sweep {sweep.group}": coordinates(sweep) for sweep in view.sweeps},
        "Confusion matrices": confusion_matrices(),
    }
    return ws.Workspace(
        entity=entity,
        project=view.project,
        name=view.title,
        sections=[ws.Section(name=name, panels=list(panels), is_open=True) for name, panels in sections.items()],
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=_filters(view.groups),
            groupby=[Metric("Group"), Metric("JobType")],
            pinned_columns=list(COLUMNS),
        ),
    )


def report(view: View, entity: str) -> wr.Report:
    """Each part with the runs that belong there: a fold's test score never stands beside a pooled one."""

    def grid(panels: Sequence[PanelTypes], name: str, groups: Sequence[str], types: Sequence[str]) -> wr.PanelGrid:
        runs = wr.Runset(entity=entity, project=view.project, name=name, filters=_filters(groups, types))
        return wr.PanelGrid(runsets=[runs], panels=list(panels))

    def sweep(one: Sweep) -> list[BlockTypes]:
        return [wr.H2(f"Sweep {one.group}"), grid(coordinates(one), "trials", [one.group], ["trial"])]

    blocks: list[BlockTypes] = [
        wr.H2("UAR by model"),
        wr.MarkdownBlock(view.figures),
        grid(uar_by_model(), "pooled, and single trainings", view.groups, SUMMED),
        wr.H2("Curves by group"),
        grid(curves_by_group(), "trainings", view.groups, TRAINED),
        *(block for one in view.sweeps for block in sweep(one)),
        wr.H2("Confusion matrices"),
        grid(confusion_matrices(), "pooled, and single trainings", view.groups, SUMMED),
    ]
    return wr.Report(entity=entity, project=view.project, title=view.title, blocks=blocks, width="fluid")


def _filters(groups: Sequence[str], types: Sequence[str] = ()) -> And | str:
    wanted = {"Group": groups, "JobType": types}
    found = [Metric(name).isin(list(values)) for name, values in wanted.items() if values]
    return And(*found) if found else ""
