"""The GraphQL operations of wandb's public API and of wandb-workspaces that the recording server answers."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .recorded import SavedView

if TYPE_CHECKING:
    from .recorder import Recorder

Variables = Mapping[str, Any]


def _default_entity(server: "Recorder", given: Variables) -> Any:
    return {"viewer": {"id": "user", "entity": server.entity}}


def _projects(server: "Recorder", given: Variables) -> Any:
    names = sorted({run.project for run in server.store.runs.values() if run.entity == given["entity"]})
    if given["entity"] != server.entity:
        return {"models": None}
    edges = [{"cursor": name, "node": _project(server, name)} for name in names]
    return {"models": {"pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}, "edges": edges}}


def _project(server: "Recorder", name: str) -> Any:
    own = {"__typename": "Project", "id": name, "name": name, "entityName": server.entity}
    return own | {"createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": None}


def _project_id(server: "Recorder", given: Variables) -> Any:
    return {"project": {"id": given["projectName"], "internalId": f"internal-{given['projectName']}"}}


def _views(server: "Recorder", given: Variables) -> Any:
    """A page of one, so that whoever looks for a view has to turn pages."""
    project = f"{given['entity']}/{given['project']}"
    every = [v for v in server.store.views.values() if (v.project, v.type) == (project, given["viewType"])]
    left = [view for view in every if view.id > (given.get("reportCursor") or "")]
    edges = [{"cursor": view.id, "node": _shown(view)} for view in left[:1]]
    page = {"endCursor": edges[-1]["cursor"] if edges else None, "hasNextPage": len(left) > 1}
    return {"project": {"allViews": {"edges": edges, "pageInfo": page}}}


def _upsert_view(server: "Recorder", given: Variables) -> Any:
    """Without an id a new one is made, even of a title that is there."""
    store, project = server.store, f"{given['entityName']}/{given['projectName']}"
    identity = given.get("id") or f"view-{store.number():04}"
    assert given.get("id") is None or given["id"] in store.views, f"no view {given['id']}"
    inserted = identity not in store.views
    view = SavedView(identity, project, given["type"], given["name"], given["displayName"], json.loads(given["spec"]))
    store.views[identity] = view
    entity, _, name = project.partition("/")
    shown = _shown(view) | {"project": {"id": name, "name": name, "entityName": entity}}
    return {"upsertView": {"view": shown, "inserted": inserted}}


def _shown(view: SavedView) -> Any:
    own = {"id": view.id, "type": view.type, "name": view.name, "displayName": view.title, "description": ""}
    return own | {"spec": json.dumps(view.spec), "user": None, "createdAt": None, "updatedAt": None}


VIEW_OPERATIONS: dict[str, Callable[["Recorder", Variables], Any]] = {
    "GetDefaultEntity": _default_entity,
    "GetProjects": _projects,
    "ProjectInternalId": _project_id,
    "ProjectViews": _views,
    "UpsertView2": _upsert_view,
    "upsertView": _upsert_view,
}
