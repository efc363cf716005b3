"""Parts of a split that are so small, or so unlike the corpus, that a score on them says little: never refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from ser_lightning.config.schema import Config
from ser_lightning.console import say
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import PARTS, Part

SHARE = 0.05
"""Of all utterances: a part with less is too small to choose or to compare by."""
FOLDS = 5
"""Of the split that is named instead, where there are as many speakers."""


def say_doubts(config: Config, proofs: Mapping[int, Proof], folds: int) -> None:
    """Print what `doubts` finds in a split of which `proofs` holds some folds by number."""
    for line in doubts(proofs, folds, config.split):
        warn(line)


def warn(line: str) -> None:
    say(f"warning: {line}", "yellow")


def doubts(proofs: Mapping[int, Proof], folds: int, split: Mapping[str, Any]) -> list[str]:
    """A sentence a part and fault, with what suits; empty where parts are large enough and hold all classes.

    Args:
        proofs: by number of the fold.
        folds: of the whole split. Where it has several, the test parts are judged together, and not here.
        split: the configuration's.
    """
    judged: Sequence[Part] = ("validation", "test") if folds == 1 else ("validation",)
    found = [line for part in judged for line in (*_small(proofs, part), *_lacking(proofs, part))]
    return [f"{line}; {_advice(next(iter(proofs.values())), split)}" for line in found]


def _small(proofs: Mapping[int, Proof], part: Part) -> list[str]:
    shares = {fold: proof.utterances[part] / sum(proof.utterances.values()) for fold, proof in proofs.items()}
    small = [fold for fold, share in shares.items() if share < SHARE]
    if not small:
        return []
    least = min(small, key=lambda fold: shares[fold])
    counts = proofs[least].utterances
    return [
        f"{part}{_where(small, proofs)} has {counts[part]} of {sum(counts.values())} utterances "
        f"({100 * shares[least]:.1f} %), under {100 * SHARE:.0f} %: {WHY[part]}"
    ]


def _lacking(proofs: Mapping[int, Proof], part: Part) -> list[str]:
    lacks = {fold: sorted(_classes(proof) - set(proof.classes[part])) for fold, proof in proofs.items()}
    folds = [fold for fold, names in lacks.items() if names]
    if not folds:
        return []
    names = sorted({name for fold in folds for name in lacks[fold]})
    return [f"{part}{_where(folds, proofs)} lacks {', '.join(names)}: its UAR is over the other classes alone"]


WHY: Mapping[Part, str] = {
    "validation": "so few choose an epoch by chance",
    "test": "a score on so few says little",
}


def _where(folds: Sequence[int], proofs: Mapping[int, Proof]) -> str:
    """Nothing where there is but one fold to speak of."""
    if len(proofs) == 1:
        return ""
    return f" of fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"


def _classes(proof: Proof) -> set[str]:
    return {name for part in PARTS for name in proof.classes[part]}


def _advice(proof: Proof, split: Mapping[str, Any]) -> str:
    """What deals a small or unequal corpus more evenly."""
    speakers = len({who for part in PARTS for who in proof.speakers[part]})
    if speakers < 3:
        return "no split of so few speakers is better"
    if split["name"] == "kfold" and split["stratify"]:
        return "fewer folds (split.k) or more speakers would help"
    k = "" if speakers >= FOLDS else f" split.k={speakers}"
    return f"split=kfold{k} split.stratify=true suits small or unequal corpora"
