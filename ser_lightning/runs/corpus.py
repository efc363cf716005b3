"""`ser corpus`: the corpus of a configuration is shown and judged, with the streams and the split that it is for."""

from dataclasses import replace
from pathlib import Path

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.console import results
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.report import render
from ser_lightning.corpora.scan import scan
from ser_lightning.data.proof import prove
from ser_lightning.data.splits import fold_numbers
from ser_lightning.errors import UserError
from ser_lightning.features.streams import streams, too_short
from ser_lightning.runs.doubts import say_doubts, warn


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
