"""A run's identity: a hash of everything that can change its numbers, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ser_lightning.config.schema import Config

RESULT_VERSION = 2
"""Raised when the code's numbers change, so that results of before are not taken for results of now."""

SAME_NUMBERS = ("ds_lstm", "fused")
"""Models whose `recurrence` names a way to the same numbers; a plug-in's may mean anything."""


def run_id(config: Config, manifest: str, parts: str = "") -> str:
    """`<corpus>-<model>-<12 hex digits>` of a configuration and the digest of the corpus's manifest.

    `parts` is the digest of a file that gives the split: its path, like all paths, is no part of the identity.
    """
    text = json.dumps(
        {"config": identity(config), "manifest": manifest, "version": RESULT_VERSION, "parts": parts},
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{config.corpus['name']}-{config.model['name']}-{digest[:12]}"


def identity(config: Config) -> dict[str, Any]:
    """The configuration without paths, devices, tracking and labels."""
    tree = asdict(config)
    for key in ("runs_dir", "cache_dir", "scratch_dir", "extraction_workers", "pictures", "tracking", "experiment"):
        del tree[key]
    for key in ("accelerator", "keep_on_device", "num_workers"):
        del tree["training"][key]
    tree["model"] = without_way(tree["model"])
    # The number of ranks counts, not on which nodes they are.
    tree["training"]["devices"] *= tree["training"].pop("num_nodes")
    del tree["corpus"]["root"]
    if tree["split"]["name"] == "file":
        del tree["split"]["file"]
    return tree


def without_way(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model's settings without what names a way to the same numbers."""
    names_way = model.get("name") in SAME_NUMBERS
    return {key: value for key, value in model.items() if not (names_way and key == "recurrence")}
