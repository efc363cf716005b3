"""Filling the feature store with what is missing."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ser_lightning.console import track
from ser_lightning.errors import UserError, listed
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.filler import Filler, Task, handfuls
from ser_lightning.features.parallel import in_parallel
from ser_lightning.features.store import FeatureStore, segments
from ser_lightning.processes.signals import StopSignal
from ser_lightning.threads import threads

SEGMENT_UTTERANCES = 256
"""Utterances a segment at most: an interruption loses no more than these a worker, a large corpus makes a few dozen
files."""


class BadAudioError(UserError):
    """Features of some files cannot be had; `paths` are the files."""

    def __init__(self, message: str, paths: Sequence[Path]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


def fill(
    store: FeatureStore,
    extractors: Mapping[str, Extractor],
    items: Sequence[tuple[str, Path]],
    label: str = "extracting features",
    workers: int = 1,
) -> dict[str, int]:
    """Compute and store the features that `store` lacks.

    The numbers depend neither on `workers` nor on the caller's threads: each file is computed by one thread. It is too
    short to share among several, which round otherwise on some processors.

    Args:
        store: where they are kept.
        extractors: stream name -> extractor.
        items: (digest of the audio, its file), an utterance each; a digest that comes twice is computed once.
        label: text before the progress bar, which counts only utterances with something missing.
        workers: processes that share the work; 1 is this process.

    Returns:
        Stream name -> number of utterances computed now.

    Raises:
        BadAudioError: at the end, listing all audio files that are broken, changed since `items` were made, too
            short or without finite features, when everything else is stored.
        UserError: at once, if the store cannot be written, a worker died or (ConfigError) an extractor's
            parameters do not fit together. What was flushed before an interruption stays and is not computed again.
    """
    for extractor in extractors.values():
        store.mark_used(extractor)
    paths = dict(items)
    missing = {stream: set(store.missing(extractor, paths)) for stream, extractor in extractors.items()}
    lacking = {digest: tuple(s for s in extractors if digest in missing[s]) for digest in paths}
    tasks = [Task(digest, paths[digest], streams) for digest, streams in lacking.items() if streams]
    filler = Filler(store, extractors, SEGMENT_UTTERANCES)
    parallel = min(workers, len(tasks)) > 1
    bad: dict[str, str] = {}
    with (
        threads(1),
        _progress_told([store.folder_of(extractor) for extractor in extractors.values()]),
        closing(in_parallel(filler, tasks, workers) if parallel else _alone(filler, tasks)) as outcomes,
    ):
        for task, problem in track(outcomes, label, total=len(tasks)):
            bad |= {task.digest: problem} if problem else {}
    _refuse({task.path: bad[task.digest] for task in tasks if task.digest in bad}, len(tasks))
    return {stream: len(digests) for stream, digests in missing.items()}


@contextmanager
def _progress_told(folders: Sequence[Path]) -> Iterator[None]:
    """A stop inside says whether any segment was stored since then."""
    before = {path for folder in folders for path in segments(folder)}
    try:
        yield
    except StopSignal as stopped:
        stopped.progressed = any(path not in before for folder in folders for path in segments(folder))
        raise


def _alone(filler: Filler, tasks: Sequence[Task]) -> Generator[tuple[Task, str]]:
    for some in handfuls(tasks, filler.handful):
        yield from zip(some, filler(some), strict=True)
    filler.flush()


def _refuse(bad: Mapping[Path, str], total: int) -> None:
    """Raise one error that lists what is bad, if anything is."""
    if not bad:
        return
    head = f"{len(bad)} of the {total} audio files read lack features (those of the others are stored):"
    raise BadAudioError("\n  ".join([head, *listed(list(bad.values()))]), list(bad))
