"""The GraphQL operations of W&B's SDK that the recording server answers, a function each.

Each takes the server and the operation's variables, and returns its `data`.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .recorded import EVENTS, HISTORY, OUTPUT, Artifact, Run
from .view_operations import VIEW_OPERATIONS

if TYPE_CHECKING:
    from .recorder import Recorder

Variables = Mapping[str, Any]


def _viewer(server: "Recorder", given: Variables) -> Any:
    user = {"id": "user", "entity": server.entity, "username": server.entity, "email": "user@example.org"}
    return {"viewer": user | {"flags": "{}", "teams": {"edges": []}}}


def _features(server: "Recorder", given: Variables) -> Any:
    return {"serverInfo": {"features": []}}


def _organization(server: "Recorder", given: Variables) -> Any:
    return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}


def _resume_status(server: "Recorder", given: Variables) -> Any:
    entity, project = given.get("entity") or server.entity, given["project"]
    run = server.store.run(entity, project, given["name"])
    found = {"id": project, "name": project, "entity": {"id": entity, "name": entity}}
    return {"model": found | {"bucket": run and _bucket(run)}}


def _bucket(run: Run) -> Any:
    def tail(stream: str) -> str:
        return json.dumps([line for line in run.lines.get(stream, [])[-1:] if line])

    return {
        "id": run.path,
        "name": run.id,
        "displayName": run.name,
        "summaryMetrics": json.dumps(run.summary),
        "config": json.dumps(run.sent_config),
        "tags": run.tags,
        "notes": None,
        "logLineCount": len(run.lines.get(OUTPUT, [])),
        "historyLineCount": len(run.lines.get(HISTORY, [])),
        "eventsLineCount": len(run.lines.get(EVENTS, [])),
        "historyTail": tail(HISTORY),
        "eventsTail": tail(EVENTS),
        "wandbConfig": json.dumps({"t": run.sent_config.get("_wandb", {}).get("value", {}).get("t", {})}),
    }


def _upsert_bucket(server: "Recorder", given: Variables) -> Any:
    if run := server.store.runs.get(given.get("id") or ""):
        run.upsert(given)
        return {"upsertBucket": {"bucket": _shown(run), "inserted": False}}
    new = Run(given.get("entity") or server.entity, given.get("project") or "uncategorized", given["name"])
    run = server.store.runs.setdefault(new.path, new)
    run.upsert(given)
    return {"upsertBucket": {"bucket": _shown(run), "inserted": run is new}}


def _shown(run: Run) -> Any:
    project = {"id": run.project, "name": run.project, "entity": {"id": run.entity, "name": run.entity}}
    own = {"id": run.path, "name": run.id, "displayName": run.name, "description": None, "sweepName": None}
    return own | {
        "config": json.dumps(run.sent_config),
        "project": project,
        "historyLineCount": len(run.lines.get(HISTORY, [])),
    }


def _create_run_files(server: "Recorder", given: Variables) -> Any:
    run = server.store.run(given["entity"], given["project"], given["run"])
    assert run is not None, f"files of the unknown run {given['run']}"
    for name in given["files"]:
        run.files.setdefault(name, None)
    shown = [{"name": name, "uploadUrl": server.url_of("run", run.path, name)} for name in given["files"]]
    return {"createRunFiles": {"runID": run.path, "uploadHeaders": [], "files": shown}}


def _create_artifact(server: "Recorder", given: Variables) -> Any:
    asked, store = given["input"], server.store
    same = [a for a in store.artifacts.values() if a.name == asked["artifactCollectionName"]]
    found = next((a for a in same if a.digest == asked["digest"] and a.state == "COMMITTED"), None)
    if found is None:
        found = Artifact(
            f"artifact-{store.number()}",
            f"{asked['entityName'] or server.entity}/{asked['projectName']}/{asked.get('runName')}",
            asked["artifactTypeName"],
            asked["artifactCollectionName"],
            asked.get("clientID") or "",
            asked["digest"],
            [alias["alias"] for alias in asked.get("aliases") or []],
            json.loads(asked.get("metadata") or "{}"),
        )
        store.artifacts[found.id] = found
    latest = {"id": same[-1].id} if same else None
    return {
        "createArtifact": {
            "artifact": {"id": found.id, "state": found.state, "artifactSequence": {"latestArtifact": latest}}
        }
    }


def _create_manifest(server: "Recorder", given: Variables) -> Any:
    artifact, name = server.store.artifacts[given["artifactID"]], f"manifest-{server.store.number()}"
    server.store.manifests[name] = artifact
    return {"createArtifactManifest": {"artifactManifest": _manifest(server, name)}}


def _update_manifest(server: "Recorder", given: Variables) -> Any:
    return {"updateArtifactManifest": {"artifactManifest": _manifest(server, given["artifactManifestID"])}}


def _manifest(server: "Recorder", name: str) -> Any:
    file = {"id": f"file-{name}", "uploadUrl": server.url_of("manifest", name, "manifest.json"), "uploadHeaders": []}
    return {"id": name, "file": file}


def _create_artifact_files(server: "Recorder", given: Variables) -> Any:
    edges = []
    for one in given["input"]["artifactFiles"]:
        artifact, path = server.store.artifacts[one["artifactID"]], one["name"]
        artifact.uploads.setdefault(path, None)
        node = {"storagePath": quote(path), "uploadUrl": server.url_of("artifact", artifact.id, path)}
        edges.append(
            {"node": node | {"uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": artifact.id}}}
        )
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _commit_artifact(server: "Recorder", given: Variables) -> Any:
    artifact = server.store.artifacts[given["artifactID"]]
    artifact.state = "COMMITTED"
    return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}


def _use_artifact(server: "Recorder", given: Variables) -> Any:
    asked = given["input"]
    run = f"{asked['entityName'] or server.entity}/{asked['projectName']}/{asked['runName']}"
    server.store.used.append((run, asked["artifactID"]))
    return {"useArtifact": {"artifact": {"id": asked["artifactID"]}}}


def _artifact_type(server: "Recorder", given: Variables) -> Any:
    name = given["name"].partition(":")[0]
    found = next((a for a in server.store.artifacts.values() if a.name == name), None)
    return {"project": {"artifact": found and {"artifactType": {"name": found.type}}}}


def _client_id(server: "Recorder", given: Variables) -> Any:
    found = [a.id for a in server.store.artifacts.values() if a.client_id == given["clientID"]]
    return {"clientIDMapping": {"serverID": found[0]} if found else None}


OPERATIONS: dict[str, Callable[["Recorder", Variables], Any]] = {
    "Viewer": _viewer,
    "ServerFeaturesQuery": _features,
    "OrganizationCoreWeaveOrganizationID": _organization,
    "RunResumeStatus": _resume_status,
    "UpsertBucket": _upsert_bucket,
    "CreateRunFiles": _create_run_files,
    "ArtifactType": _artifact_type,
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _create_manifest,
    "UpdateArtifactManifest": _update_manifest,
    "CreateArtifactFiles": _create_artifact_files,
    "CommitArtifact": _commit_artifact,
    "UseArtifact": _use_artifact,
    "ClientIDMapping": _client_id,
    **VIEW_OPERATIONS,
}
