"""Saving a view: the workspace and the report of its title are made, or made anew where they are."""

from dataclasses import dataclass

import wandb
from wandb.errors import AuthenticationError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.lib.wbauth import authenticate_session

from ser_lightning.errors import UserError
from ser_lightning.tracking.environment import own_tracking
from ser_lightning.tracking.opening import line
from ser_lightning.tracking.server import PRIVATE, server, unanswered
from ser_lightning.tracking.view.contents import View
from ser_lightning.tracking.view.pages import report, workspace
from ser_lightning.tracking.wandb import defaults

AGAIN = "then start `ser wandb view` again"


@dataclass(frozen=True)
class Saved:
    """Where a person opens them."""

    workspace: str
    report: str


def save(view: View) -> Saved:
    """Save a view's workspace and report; those that are there under its title are replaced.

    Raises:
        UserError: the server does not answer or refuses, there is no key, it does not know the key or the project.
    """
    if reason := unanswered():
        raise UserError(f"W&B: {reason}; set WANDB_BASE_URL or go where it can be reached, {AGAIN}")
    with own_tracking(), defaults(PRIVATE):
        try:
            return _save(view, _api())
        except (wandb.Error, WandbApiFailedError, TimeoutError) as error:
            raise UserError(f"W&B: {server()} did not take the view: {_line(error)}; {AGAIN}") from error


def _api() -> wandb.Api:
    # Not `wandb.login`, which does nothing where the shell says offline for trainings, and writes settings.
    if authenticate_session(host=server(), source="ser wandb view", prompt=False, update_session=False) is None:
        raise UserError(f"W&B: no key; `wandb login`, or set WANDB_API_KEY, {AGAIN}")
    try:
        return wandb.Api()
    except AuthenticationError as error:
        reason = f"{server()} does not know the key" if _unknown(error) else f"no login at {server()}: {_line(error)}"
        raise UserError(f"W&B: {reason}; `wandb login`, or set WANDB_API_KEY, {AGAIN}") from error


def _save(view: View, api: wandb.Api) -> Saved:
    entity = view.entity or api.default_entity
    if entity is None:
        raise UserError(f"W&B: the key has no entity of its own; name one with entity=..., {AGAIN}")
    if not _has_project(api, entity, view.project):
        raise UserError(f"W&B: there is no project {entity}/{view.project} yet; upload runs with `ser sync`, {AGAIN}")
    space, page = workspace(view, entity), report(view, entity)
    if found := _known(f"{entity}/{view.project}", "project-view").get(view.title):
        # What its class gives to a workspace that it loads, without reading back what is replaced anyway.
        space._internal_id, space._internal_name = found
    if found := _known(f"{entity}/{view.project}", "runs").get(view.title):
        page.id = found[0]
    space.save()  # type: ignore[no-untyped-call]
    page.save()
    return Saved(space.url, page.url)


def _has_project(api: wandb.Api, entity: str, project: str) -> bool:
    try:
        return project in (one.name for one in api.projects(entity))
    except ValueError:  # the answer for an entity that is not there has no list
        return False


def _known(path: str, kind: str) -> dict[str, tuple[str, str]]:
    """Ids and names of the saved views of a kind, by title: reports are `runs`, workspaces are `project-view`."""
    views = wandb.Api().reports(path)  # an Api of its own, since one hands out the same list again
    views.variables["viewType"] = kind
    return {str(one.display_name): (one.id, str(one.name)) for one in views}


def _unknown(error: BaseException) -> bool:
    """Whether the server's answer to a login was 401: its words are its own."""
    response = getattr(error.__cause__, "response", None)
    return response is not None and response.http_status == 401


def _line(error: Exception) -> str:
    return line(error).rstrip(".")
