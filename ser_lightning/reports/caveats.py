"""What figures side by side must not be read without."""

from collections.abc import Collection, Mapping

from ser_lightning.reports.fitted import fitted_caveats
from ser_lightning.reports.system import System
from ser_lightning.runs.vault import FILE, configurations, looks_at, recordings_of


def caveats(systems: Mapping[str, System]) -> list[str]:
    """Sentences about systems by letter, the gravest first."""
    return [
        *_protocols(systems),
        *_versions(systems),
        *fitted_caveats(systems),
        *_incomplete(systems),
        *_looks(systems),
    ]


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


def _versions(systems: Mapping[str, System]) -> list[str]:
    """A fusion has none of its own."""
    versions = {letter: s.result["result_version"] for letter, s in systems.items() if "result_version" in s.result}
    if len(set(versions.values())) < 2:
        return []
    told = ", ".join(f"{letter} of result version {version}" for letter, version in versions.items())
    return [f"NOT COMPUTED ALIKE: {told}, whose numbers differ: what was computed before is to be computed again"]


def _incomplete(systems: Mapping[str, System]) -> list[str]:
    partial = [letter for letter, system in systems.items() if not system.result.get("complete", True)]
    return [f"INCOMPLETE: folds of {', '.join(partial)} are missing"] if partial else []


def _looks(systems: Mapping[str, System]) -> list[str]:
    """From the vaults beside the runs; how many looked matters when the best of them is picked."""
    runs = [run for system in systems.values() for members in system.runs.values() for run in members]
    recordings = {digest for run in runs for digest in recordings_of(run)}
    found = [look for folder in sorted({run.path.parent for run in runs}) for look in looks_at(folder, recordings)]
    said = [f"looks at these test recordings so far: by {configurations(found)} configurations"] if found else []
    looked = {look.run for look in found}
    lost = [letter for letter, system in systems.items() if not _recorded(system, looked)]
    if lost:
        said.append(f"NOT ALL LOOKS ARE RECORDED: none of {', '.join(lost)} stands in {FILE} beside the runs")
    return said


def _recorded(system: System, looked: Collection[str]) -> bool:
    """Whether the system's own looks are in the vault: a fusion's under its own name."""
    own = {system.name} if system.kind == "fusion" else {run.id for found in system.runs.values() for run in found}
    return own <= set(looked)
