"""What the recording server keeps: runs and artifacts as W&B's dashboard would know them."""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


@dataclass
class Run:
    """A run; its history is the lines that were sent, each at the place that its sender named."""

    entity: str
    project: str
    id: str
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    sent_config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str | None]] = field(default_factory=dict)
    files: dict[str, bytes | None] = field(default_factory=dict)
    """By name; None is one that was announced and whose content never came."""
    exit_codes: list[int] = field(default_factory=list)
    """One for each time that it ended."""

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def config(self) -> dict[str, Any]:
        """As the dashboard filters by it, without the SDK's own entry."""
        return {key: one["value"] for key, one in self.sent_config.items() if key != "_wandb"}

    @property
    def step_metrics(self) -> dict[str, str]:
        """What `define_metric` said: the step metric of each name or pattern that has one."""
        told = self.sent_config.get("_wandb", {}).get("value", {}).get("m", [])
        names = [one.get("1") or one.get("2") for one in told]  # fields of the SDK's MetricRecord: name, glob_name
        return {name: names[one["5"] - 1] for name, one in zip(names, told, strict=True) if "5" in one}

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows by step, in the order in which they came first.

        A line that nobody wrote is a gap, and fails here. What comes again under its step takes its row's place: for
        this `wandb sync` keeps a segment's first step in `.syncstate`.
        """
        return list({row["_step"]: row for row in self._rows(HISTORY)}.values())

    @property
    def events(self) -> list[dict[str, Any]]:
        return self._rows(EVENTS)

    @property
    def output(self) -> str:
        return "\n".join(line or "" for line in self.lines.get(OUTPUT, []))

    @property
    def lost(self) -> list[str]:
        """Files that were announced and never came."""
        return sorted(name for name, content in self.files.items() if content is None)

    def _rows(self, stream: str) -> list[dict[str, Any]]:
        lines = self.lines.get(stream, [])
        assert None not in lines, f"{self.path}: {stream} has no line {lines.index(None)}"
        return [json.loads(line) for line in lines if line is not None]

    def upsert(self, given: Mapping[str, Any]) -> None:
        for key, name in {"name": "displayName", "group": "groupName", "job_type": "jobType", "tags": "tags"}.items():
            if given.get(name) is not None:
                setattr(self, key, given[name])
        if given.get("config"):
            self.sent_config = json.loads(given["config"])
        if given.get("summaryMetrics"):
            self.summary = json.loads(given["summaryMetrics"])

    def write(self, stream: str, offset: int, content: Sequence[str]) -> None:
        """Lines take the places from `offset` on, over what was there."""
        if stream == SUMMARY:
            self.summary = json.loads(content[-1])
            return
        lines = self.lines.setdefault(stream, [])
        lines.extend([None] * (offset - len(lines)))
        lines[offset : offset + len(content)] = content


@dataclass
class Artifact:
    """A version of an artifact; `files` are contents by their path in the manifest."""

    id: str
    run: str
    type: str
    name: str
    client_id: str
    digest: str
    aliases: list[str]
    metadata: dict[str, Any]
    state: str = "PENDING"
    manifest: dict[str, Any] | None = None
    uploads: dict[str, bytes | None] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes | None]:
        """Raises AssertionError: the manifest never came."""
        assert self.manifest is not None, f"{self.name}: no manifest"
        return {path: self.uploads.get(path) for path in self.manifest["contents"]}

    def digests(self) -> dict[str, str]:
        """Hexadecimal MD5 of each file, as the manifest states it."""
        assert self.manifest is not None, f"{self.name}: no manifest"
        return {path: base64.b64decode(one["digest"]).hex() for path, one in self.manifest["contents"].items()}


@dataclass
class SavedView:
    """A report (`runs`) or a workspace (`project-view`)."""

    id: str
    project: str
    type: str
    name: str
    title: str
    spec: dict[str, Any]


@dataclass
class Store:
    """All that was sent; `used` are pairs of a run's path and the artifact that it read."""

    runs: dict[str, Run] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    manifests: dict[str, Artifact] = field(default_factory=dict)
    used: list[tuple[str, str]] = field(default_factory=list)
    views: dict[str, SavedView] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> int:
        return next(self._numbers)

    def run(self, entity: str, project: str, name: str) -> Run | None:
        return self.runs.get(f"{entity}/{project}/{name}")

    @property
    def only(self) -> Run:
        """The one run that there is."""
        assert len(self.runs) == 1, f"runs: {sorted(self.runs)}"
        return next(iter(self.runs.values()))
