"""What figures side by side must not be read without."""

from collections.abc import Mapping

from ser_lightning.reports.system import System
from ser_lightning.runs.vault import FILE, configurations, looks, looks_at


def caveats(systems: Mapping[str, System]) -> list[str]:
    """Sentences about systems by letter, the gravest first."""
    return [*_protocols(systems), *_incomplete(systems), *_looks(systems)]


def _protocols(systems: Mapping[str, System]) -> list[str]:
    said = []
    for mark in ("speaker_dependent", "transductive"):
        bear = [letter for letter, system in systems.items() if mark in system.labels]
        others = [letter for letter in systems if letter not in bear]
        if bear and others:
            said.append(
                f"NOT THE SAME PROTOCOL: {', '.join(bear)} {mark}, {', '.join(others)} not: "
                "differences between them are of protocols, not of systems alone"
            )
    return said


def _incomplete(systems: Mapping[str, System]) -> list[str]:
    partial = [letter for letter, system in systems.items() if not system.result.get("complete", True)]
    return [f"INCOMPLETE: folds of {', '.join(partial)} are missing"] if partial else []


def _looks(systems: Mapping[str, System]) -> list[str]:
    """From the vaults beside the runs; how many looked matters when the best of them is picked."""
    runs = [run for system in systems.values() for members in system.runs.values() for run in members]
    vaults = sorted({run.path.parent for run in runs if (run.path.parent / FILE).exists()})
    config = next((run.read_config() for run in runs if vaults and run.config.exists()), None)
    if config is None:
        return []
    speakers = {speaker for system in systems.values() for speaker in system.pooled.rows.speakers}
    found = [look for vault in vaults for look in looks_at(looks(vault), config.corpus["name"], speakers)]
    return [f"looks at these speakers as test speakers so far: by {configurations(found)} configurations"]
