"""The corpus of a configuration: fetched, scanned, shown, refused where it can't be used."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.config.shapes import made
from ser_lightning.config.sources import choices, read, search_path
from ser_lightning.console import console
from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.report import render, warnings
from ser_lightning.corpora.scan import scan
from ser_lightning.errors import ConfigError
from ser_lightning.runs.lock import owned

if TYPE_CHECKING:
    from ser_lightning.corpora.fetch import Source


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
        console.print(Text(line, "yellow"), soft_wrap=True)


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


def fetch_corpus(config: Config) -> Path:
    """`ser corpus fetch`: download the configuration's corpus into `corpus.root`.

    Raises:
        UserError: nothing says where the corpus is to be had, another process fetches it, or what `fetch` says.
    """
    # The other verbs need no network, and none of what speaks HTTP.
    from ser_lightning.corpora.fetch import fetch

    root = Path(config.corpus["root"]).expanduser().absolute()
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
