"""The one scan that turns any adapter's names into a corpus of utterances."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ser_lightning.console import track
from ser_lightning.corpora.adapter import Adapter
from ser_lightning.corpora.audio import Audio, BrokenAudioError, look
from ser_lightning.corpora.cache import AudioCache
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.twice import once
from ser_lightning.corpora.utterance import Entry, Problem, Utterance
from ser_lightning.errors import ConfigError

__all__ = ["Corpus", "CorpusError", "scan"]

NEAR_SILENT = 0.01
"""Peak, of full scale, below which a file counts as near-silent."""


def scan(adapter: Adapter, cache_dir: Path) -> Corpus:
    """Read names, then the audio of every file that `cache_dir` does not know as it is now.

    Problems are collected, not raised: see `Corpus.check`. Raises CorpusError where there is no audio file at
    all, UserError where `root` does not exist, and ConfigError where `classes` is empty or repeats a name.
    """
    _check_classes(adapter.classes)
    found = list(adapter.entries())
    root = Path(adapter.root).absolute()
    if not found:
        raise CorpusError(f"{root} holds no .wav or .flac file; set corpus.root=... to where the corpus lies")
    named = [item for item in found if isinstance(item, Entry)]
    problems = [item for item in found if isinstance(item, Problem)]
    left_out = Counter(entry.label for entry in named if entry.label not in adapter.classes)
    entries, twice = once(entry for entry in named if entry.label in adapter.classes)
    audio, broken = _look_at([entry.path for entry in entries], cache_dir)
    utterances = sorted(_utterances(entries, audio), key=lambda utterance: utterance.id)
    problems += [*twice, *broken, *_quiet(audio), *_duplicates(utterances)]
    return Corpus(root, tuple(utterances), tuple(adapter.classes), tuple(problems), left_out)


def _check_classes(classes: Sequence[str]) -> None:
    if not classes:
        raise ConfigError("corpus.classes is empty; set corpus.classes=[...] to the classes to tell apart")
    repeated = [name for name, times in Counter(classes).items() if times > 1]
    if repeated:
        once_each = ",".join(dict.fromkeys(classes))
        raise ConfigError(f"corpus.classes repeats {', '.join(repeated)}; set corpus.classes=[{once_each}]")


def _look_at(paths: Iterable[Path], cache_dir: Path) -> tuple[dict[Path, Audio], list[Problem]]:
    """Return what the cache or the files say, and which files are broken."""
    cache = AudioCache(cache_dir)
    audio = {path: cache.get(path) for path in paths}
    unknown = [path for path, known in audio.items() if known is None]
    broken: list[Problem] = []
    try:
        for path in track(unknown, "reading audio", len(unknown)):
            try:
                before = path.stat()
                seen = look(path)
            except (BrokenAudioError, OSError) as error:
                broken.append(Problem("broken", path, str(error)))
            else:
                audio[path] = seen
                cache.put(path, before.st_size, before.st_mtime_ns, seen)
    finally:
        cache.save()
    return {path: known for path, known in audio.items() if known is not None}, broken


def _utterances(entries: Iterable[Entry], audio: dict[Path, Audio]) -> Iterator[Utterance]:
    for entry in entries:
        a = audio.get(entry.path)
        if a is not None and a.frames > 0:
            yield Utterance(
                id=entry.id,
                path=entry.path,
                digest=a.digest,
                speaker=entry.speaker,
                session=entry.session,
                label=entry.label,
                text=entry.text,
                seconds=a.frames / a.sample_rate,
                sample_rate=a.sample_rate,
                channels=a.channels,
            )


def _quiet(audio: dict[Path, Audio]) -> Iterator[Problem]:
    for path, a in audio.items():
        if a.frames == 0:
            yield Problem("empty", path, "holds no samples")
        elif a.peak < NEAR_SILENT:
            yield Problem("near_silent", path, f"peaks at {a.peak:.4f} of full scale")


def _duplicates(utterances: Iterable[Utterance]) -> Iterator[Problem]:
    """Yield one warning for each set of utterances with identical audio."""
    groups: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[utterance.digest].append(utterance)
    for first, *others in groups.values():
        if others:
            labels = sorted({u.label for u in [first, *others]})
            same = ", ".join(u.id for u in others)
            detail = f"the same audio as {same} (labelled {' and '.join(labels)})"
            yield Problem("duplicate", first.path, detail)
