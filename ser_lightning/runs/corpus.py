"""The corpus of a configuration: scanned, shown, refused where it can't be used."""

from pathlib import Path

from rich.console import Console

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.report import render
from ser_lightning.corpora.scan import scan


def scan_corpus(config: Config) -> Corpus:
    """Scan the corpus and refuse one that can't be used.

    Raises:
        CorpusError: all fatal problems at once.
    """
    corpus = scan(build("corpus", config.corpus), Path(config.cache_dir))
    corpus.check()
    return corpus


def inspect_corpus(config: Config) -> Corpus:
    """`ser corpus`: show files, speakers, hours, classes and problems.

    Raises:
        CorpusError: the corpus can't be used; what is wrong has been shown.
    """
    corpus = scan(build("corpus", config.corpus), Path(config.cache_dir))
    render(corpus, Console())
    try:
        corpus.check()
    except CorpusError as error:
        raise CorpusError(f"the corpus in {corpus.root} cannot be used: mend the errors above") from error
    return corpus
