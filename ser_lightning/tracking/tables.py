"""A scored part in W&B: its scores, its confusion matrix, and a table of its utterances."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ser_lightning.config.schema import Tracking
from ser_lightning.console import say
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.evaluation.metrics import Scores
from ser_lightning.evaluation.pictures import spectrogram
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.features.audio import read_audio
from ser_lightning.tracking.wandb import Logger

Recording = Callable[[str], tuple[NDArray[np.float32], int]]
"""An utterance's id -> its waveform (N,) and sample rate (Hz)."""


def recordings(utterances: Iterable[Utterance]) -> Recording:
    """Reads an utterance's audio, as one channel at its own sample rate, by its id."""
    known = {u.id: u for u in utterances}

    def read(name: str) -> tuple[NDArray[np.float32], int]:
        found = known[name]
        rate = found.sample_rate
        return read_audio(found.path, found.digest, [rate])[rate].numpy(), rate

    return read


COLUMNS = ("id", "speaker", "label", "prediction", "confidence", "correct")


def log_part(
    logger: Logger,
    part: str,
    found: Predictions,
    picture: Path,
    settings: Tracking,
    recording: Recording,
    epoch: int | None,
) -> None:
    """A part's scores and confusion matrix, see `log_scores`, and its utterances, `settings.utterances` at most.

    Of the most confidently wrong `settings.audio` have a table of their own, with sound and spectrogram.

    Args:
        epoch: the last one trained, at which all this is shown; None where there are none.
    """
    rows = utterance_rows(found)
    cut = rows[: settings.utterances]
    at = {} if epoch is None else {"epoch": epoch}
    log_scores(logger, part, found, picture, at)
    if settings.utterances:
        logger.attempt(lambda: _log_utterances(logger, part, cut, len(rows) - len(cut), at))
    if wrong := [row for row in rows if not row[-1]][: settings.audio]:
        logger.attempt(lambda: _log_sounds(logger, part, wrong, recording, at))


def log_scores(
    logger: Logger, part: str, found: Predictions, picture: Path, at: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Final scores into the summary, the confusion matrix as a table of counts and, if it exists, as `picture`.

    Args:
        at: the epoch to show it at, which wandb takes for 0 in a process that has trained none.
    """
    scores = found.scores()
    scored = {"uar": scores.uar, "wa": scores.wa, "macro_f1": scores.macro_f1}
    final = {f"final/{part}/{name}": value for name, value in scored.items()}
    logger.attempt(lambda: logger.experiment.log({**_confusion(part, scores, found.classes, picture), **at}))
    logger.attempt(lambda: logger.experiment.summary.update(final))


def _confusion(part: str, scores: Scores, classes: Sequence[str], picture: Path) -> dict[str, Any]:
    import wandb

    names = list(enumerate(classes))
    counts = [[true, predicted, scores.confusion[i][j]] for i, true in names for j, predicted in names]
    shown = {f"{part}/confusion_table": wandb.Table(columns=["true", "predicted", "count"], data=counts)}
    return shown | ({f"{part}/confusion_matrix": wandb.Image(str(picture))} if picture.exists() else {})


def utterance_rows(found: Predictions) -> list[list[Any]]:
    """A row an utterance, in the order of `COLUMNS`: the wrong ones first, what is most surely wrong before all.

    `confidence` is the softmax of the logits at the prediction. Of a support vector machine, whose logits are decision
    values, it orders utterances but is no probability.
    """
    confidence = softmax(found.logits, axis=1).max(1)
    predicted = [found.classes[number] for number in found.decisions]
    columns = (found.ids, found.speakers, found.labels, predicted, confidence.tolist())
    rows = [[*row, row[2] == row[3]] for row in zip(*columns, strict=True)]
    return sorted(rows, key=lambda row: (row[5], row[4] if row[5] else -row[4]))


def _log_utterances(logger: Logger, part: str, rows: list[list[Any]], left_out: int, at: Mapping[str, int]) -> None:
    import wandb

    logger.experiment.log({f"{part}/utterances": wandb.Table(columns=list(COLUMNS), data=rows), **at})
    logger.experiment.summary.update({f"{part}/utterances_left_out": left_out})
    if left_out:
        text = f"W&B: the table {part}/utterances has {len(rows)} of {len(rows) + left_out} rows"
        say(f"{text}; tracking.utterances sets how many")


def _log_sounds(logger: Logger, part: str, rows: list[list[Any]], recording: Recording, at: Mapping[str, int]) -> None:
    import wandb

    table = wandb.Table(columns=[*COLUMNS, "audio", "spectrogram"], data=list(_heard(rows, recording)))
    logger.experiment.log({f"{part}/confidently_wrong": table, **at})


def _heard(rows: list[list[Any]], recording: Recording) -> Iterator[list[Any]]:
    import wandb

    for row in rows:
        waveform, rate = recording(row[0])
        yield [*row, wandb.Audio(waveform, sample_rate=rate), wandb.Image(spectrogram(waveform, rate))]
