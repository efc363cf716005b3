"""The corpus of a configuration: fetched, scanned, shown, refused where it can't be used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.config.shapes import made
from ser_lightning.config.sources import choices, read, search_path
from ser_lightning.console import results, say
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.report import render, warnings
from ser_lightning.corpora.scan import scan
from ser_lightning.corpora.utterance import Problem, Utterance
from ser_lightning.data.proof import prove
from ser_lightning.data.splits import fold_numbers
from ser_lightning.errors import ConfigError, UserError, listed
from ser_lightning.features.extractor import why_too_short
from ser_lightning.processes.lock import owned
from ser_lightning.runs.doubts import say_doubts, warn

if TYPE_CHECKING:
    from ser_lightning.corpora.fetch import Source
    from ser_lightning.features.extractor import Extractor


def scan_corpus(config: Config) -> Corpus:
    """Scan the corpus and refuse one that can't be used.

    Raises:
        CorpusError: all fatal problems at once.
    """
    corpus = scan(build("corpus", config.corpus), Path(config.cache_dir))
    corpus.check()
    return corpus


def say_warnings(corpus: Corpus) -> None:
    """Say in one line a kind what `ser corpus` warns of."""
    for line in warnings(corpus):
        say(line, "yellow")


def inspect_corpus(config: Config) -> Corpus:
    """`ser corpus`: show files, speakers, hours, classes and problems.

    Raises:
        CorpusError: the corpus can't be used; what is wrong has been shown.
    """
    corpus = scan(build("corpus", config.corpus), Path(config.cache_dir))
    short = too_short(corpus.utterances, streams(config))
    corpus = replace(corpus, problems=(*corpus.problems, *short))
    render(corpus, results)
    try:
        corpus.check()
    except CorpusError as error:
        raise CorpusError(f"the corpus in {corpus.root} cannot be used: mend the errors above") from error
    _say_split(config, corpus)
    return corpus


def _say_split(config: Config, corpus: Corpus) -> None:
    """What is doubtful about the configuration's split, or why it can't be made: said, and no fault of the corpus."""
    try:
        splitter = build("split", config.split)
        numbers = fold_numbers(splitter, corpus.utterances)
        fold = config.split.get("fold", 0)
        fold = fold if fold in numbers else numbers[0]
        given = config.split | ({"fold": fold} if "fold" in config.split else {})
        parts = build("split", given).split(corpus.utterances)
        proof = prove(corpus.utterances, parts, splitter.speaker_dependent)
    except UserError as error:
        warn(f"the split that the configuration asks for cannot be made, which training would refuse: {error}")
        return
    say_doubts(config, {fold: proof}, len(numbers))


def streams(config: Config) -> "dict[str, Extractor]":
    """The extractors by stream."""
    common = ("frames", "normalise")
    return {
        name: build("extractor", {k: v for k, v in stream.items() if k not in common}, selector="extractor")
        for name, stream in config.features.items()
    }


def too_short(utterances: Sequence[Utterance], extractors: "Mapping[str, Extractor]") -> list[Problem]:
    """What gives no frame of a stream; only a model that reads it cannot be trained."""
    found = []
    for utterance in utterances:
        for name, extractor in extractors.items():
            reason = why_too_short(extractor, round(utterance.seconds * extractor.sample_rate))
            if reason:
                found.append(Problem("short", utterance.path, f"stream `{name}`: {reason}"))
    return found


def refuse_too_short(utterances: Sequence[Utterance], extractors: "Mapping[str, Extractor]") -> None:
    """Raise CorpusError that lists what gives no frame of a stream."""
    found = too_short(utterances, extractors)
    if found:
        head = "these files are too short for the features; replace them, leave them out, or choose shorter windows:"
        raise CorpusError("\n  ".join([head, *listed([f"{p.path}: {p.detail}" for p in found])]))


def fetch_corpus(config: Config) -> Path:
    """`ser corpus fetch`: download the configuration's corpus into `corpus.root`.

    Raises:
        UserError: nothing says where the corpus is to be had, another process fetches it, or what `fetch` says.
    """
    # The other verbs need no network, and none of what speaks HTTP.
    from ser_lightning.corpora.fetch import fetch

    root = Path(config.corpus["root"]).absolute()
    source = _source(config.corpus["name"])
    with owned(root.with_name(f".{root.name}.fetch.lock")):
        return fetch(source, root)


def _source(name: str) -> "Source":
    """The table of a corpus's source: the user's own under conf/corpus/fetch where they stand, or the packaged one."""
    from ser_lightning.corpora.fetch import Source

    tables = choices("corpus/fetch", search_path(None))
    if name not in tables:
        raise ConfigError(
            f"corpus `{name}` cannot be fetched (known: {', '.join(tables)}): ask its owners for it, or write "
            f"conf/corpus/fetch/{name}.yaml with licence, page and url"
        )
    return made(Source, read(tables[name]), tables[name])
