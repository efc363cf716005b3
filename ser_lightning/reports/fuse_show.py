"""What a person is shown of a fusion: the weights, and its figures beside the members'."""

from rich.table import Table
from rich.text import Text

from ser_lightning.console import answer
from ser_lightning.reports.fitted import fitted_on
from ser_lightning.reports.system import System
from ser_lightning.reports.wording import between, percent

OTHER_FIT = (
    "  also fitted on the validation part: its test logits are of that fit; its validation logits, by which weights "
    "are chosen, are of another one, on the train part alone"
)


def show(system: System) -> None:
    """Weights and validation UAR of each fold and seed; test figures with intervals; where things lie."""
    result = system.result
    labels = f" ({', '.join(system.labels)})" if system.labels else ""
    answer(Text(f"\n{system.name}{labels}", style="bold"))
    for number, member in enumerate(result["members"], 1):
        answer(Text(f"member {number}: {member}"))
        if any("validation" in fitted_on(runs[number - 1]) for runs in system.runs.values()):
            answer(Text(OTHER_FIT, style="yellow"))
    answer(_weights(system))
    if places := result["left_out"]:
        told = ", ".join(f"fold {place['fold']} seed {place['seed']}" for place in places)
        answer(Text(f"left out, because not every member has it: {told}", style="yellow"))
    answer(_figures(system))
    answer(Text(f"predictions: {system.path / 'predictions.csv'}"))
    answer(Text(f"next: ser compare {' '.join(result['members'])} {system.name}"))


def _weights(system: System) -> Table:
    members = [f"weight {number}" for number in range(1, len(system.result["members"]) + 1)]
    table = Table("fold", "seed", *members, "validation UAR %", caption=_tried(system), caption_justify="left")
    for row in system.result["weights"]:
        weights = (f"{weight:.3g}" for weight in row["weights"])
        table.add_row(str(row["fold"]), str(row["seed"]), *weights, percent(row["validation_uar"]))
    return table


def _tried(system: System) -> str:
    """What the validation scores are worth, which chose the weights."""
    tried = system.result.get("tried")
    if tried is None:
        return ""
    return f"validation UAR: the highest of {tried} weightings tried on these very rows, so it flatters"


def _figures(system: System) -> Table:
    table = Table("test", "UAR %", "95% interval", "WA %", "95% interval")
    alone = ((f"member {number}", figures) for number, figures in enumerate(system.result["alone"], 1))
    for name, figures in (*alone, ("fusion", system.result["figures"]["chosen on validation"])):
        cells = (word for m in ("uar", "wa") for word in (percent(figures[m]), between(figures["interval"][m])))
        table.add_row(name, *cells)
    return table
