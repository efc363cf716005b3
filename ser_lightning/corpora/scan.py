"""The one scan that turns any adapter's names into a corpus of utterances."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.console import track
from ser_lightning.corpora.adapter import Adapter
from ser_lightning.corpora.audio import Audio, BrokenAudioError, look
from ser_lightning.corpora.cache import AudioCache
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.lengths import outliers
from ser_lightning.corpora.levels import problems as of_levels
from ser_lightning.corpora.twice import once
from ser_lightning.corpora.utterance import Entry, Problem, Utterance
from ser_lightning.errors import ConfigError
from ser_lightning.names import alike, clean

__all__ = ["Corpus", "CorpusError", "scan", "scan_corpus"]

ROUNDED = 0.005
"""Seconds by which a row's `end` may be before the file's, as times are written with two decimals."""


def scan(adapter: Adapter, cache_dir: Path) -> Corpus:
    """Read names, then the audio of every file that `cache_dir` does not know as it is now.

    Problems are collected, not raised: see `Corpus.check`. Raises CorpusError where there is no audio file at
    all, UserError where `root` does not exist or a folder can't be read, and ConfigError where `classes` is empty or
    repeats a name.
    """
    classes = tuple(clean(name) for name in adapter.classes)
    _check_classes(adapter, classes)
    found = list(adapter.entries())
    root = Path(adapter.root).absolute()
    if not found:
        raise CorpusError(f"{root} holds no .wav or .flac file; set corpus.root=... to where the corpus lies")
    named = [_cleaned(item) for item in found if isinstance(item, Entry)]
    problems = [item for item in found if isinstance(item, Problem)]
    left_out = Counter(entry.label for entry in named if entry.label not in classes)
    entries, twice = once(entry for entry in named if entry.label in classes)
    audio, broken = _look_at([entry.path for entry in entries], cache_dir)
    utterances = sorted(_utterances(entries, audio), key=lambda utterance: utterance.id)
    problems += [*twice, *broken, *_levels(audio), *_parts(root, entries, audio), *_duplicates(utterances)]
    problems += [*_alike(root, entries, classes), *_close_to_a_class(root, left_out, classes), *outliers(utterances)]
    return Corpus(root, tuple(utterances), classes, tuple(problems), left_out)


def _cleaned(entry: Entry) -> Entry:
    """With names that are equal where they look equal, whichever adapter read them."""
    return replace(
        entry,
        id=clean(entry.id),
        speaker=clean(entry.speaker),
        session=clean(entry.session),
        label=clean(entry.label),
    )


def _check_classes(adapter: Adapter, classes: Sequence[str]) -> None:
    if not classes:
        found = f" ({adapter.labels_found()})" if hasattr(adapter, "labels_found") else ""
        raise ConfigError(f"corpus.classes is empty; set corpus.classes=[...] to the classes to tell apart{found}")
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
                broken.append(Problem("broken", path, getattr(error, "strerror", None) or str(error)))
            else:
                audio[path] = seen
                cache.put(path, before, seen)
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


def _levels(audio: dict[Path, Audio]) -> Iterator[Problem]:
    for path, a in audio.items():
        if a.frames == 0:
            yield Problem("empty", path, "holds no samples")
        else:
            yield from of_levels(path, a.levels)


def _parts(root: Path, entries: Iterable[Entry], audio: dict[Path, Audio]) -> Iterator[Problem]:
    """Yield a problem for each row that names less than its whole file."""
    for entry in entries:
        a = audio.get(entry.path)
        if a and entry.part and entry.part.end is not None and entry.part.end < a.frames / a.sample_rate - ROUNDED:
            detail = f"{entry.part.place}: {entry.part.refusal}; it is {a.frames / a.sample_rate:.3f} s long"
            yield Problem("row", root, detail)


def _duplicates(utterances: Iterable[Utterance]) -> Iterator[Problem]:
    """Yield one problem for each set of utterances with identical audio, fatal where their labels differ."""
    groups: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[utterance.digest].append(utterance)
    for first, *others in groups.values():
        if others:
            labels = sorted({u.label for u in [first, *others]})
            same = ", ".join(u.id for u in others)
            detail = f"the same audio as {same} (labelled {' and '.join(labels)})"
            if len(labels) > 1:
                yield Problem("two_labels", first.path, f"{detail}; keep the one that is right")
            else:
                yield Problem("duplicate", first.path, detail)


def _alike(root: Path, entries: Sequence[Entry], classes: Sequence[str]) -> Iterator[Problem]:
    """Yield a warning for each set of names that differ only in what is easily overlooked."""
    columns = {
        "classes": classes,
        "speakers": [entry.speaker for entry in entries],
        "sessions": [entry.session for entry in entries],
        "ids": [entry.id for entry in entries],
    }
    for what, names in columns.items():
        for group in alike(names):
            shown = " and ".join(f"`{name}`" for name in group)
            yield Problem("alike", root, f"{what} {shown} count as different; write them alike if they are one")


def _close_to_a_class(root: Path, left_out: Counter[str], classes: Sequence[str]) -> Iterator[Problem]:
    """Yield a warning for each label that is left out and spelled almost like a class."""
    folded = {name.casefold(): name for name in classes}
    for label, number in sorted(left_out.items()):
        if meant := get_close_matches(label.casefold(), folded, n=1, cutoff=0.8):
            detail = f"{number} files are labelled `{label}`, which is no class; did you mean `{folded[meant[0]]}`?"
            yield Problem("alike", root, f"{detail} corpus.labels says what a label counts as")


def scan_corpus(config: Config) -> Corpus:
    """Scan the corpus and refuse one that can't be used.

    Raises:
        CorpusError: all fatal problems at once.
    """
    corpus = scan(build("corpus", config.corpus), Path(config.cache_dir))
    corpus.check()
    return corpus
