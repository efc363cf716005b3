"""Showing a corpus in the terminal: how much, who, which classes, what is wrong."""

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ser_lightning.corpora.corpus import LISTED, Corpus
from ser_lightning.corpora.lengths import summary
from ser_lightning.corpora.utterance import Problem


def render(corpus: Corpus, console: Console) -> None:
    """Print the lengths, the counts by speaker and class, what was left out, and the first problems of each kind."""
    speakers = {utterance.speaker for utterance in corpus.utterances}
    hours = sum(utterance.seconds for utterance in corpus.utterances) / 3600
    console.print(
        f"{escape(str(corpus.root))}: {len(corpus.utterances)} utterances, {len(speakers)} speakers, "
        f"{len(corpus.classes)} classes, {hours:.3f} hours, {_formats(corpus)}",
        soft_wrap=True,
    )
    if corpus.utterances:
        console.print(summary(corpus.utterances), soft_wrap=True)
    console.print(_counts(corpus))
    for label, number in sorted(corpus.left_out.items()):
        console.print(f"left out: {number} files of {escape(label)}, which is not in corpus.classes")
    for label in corpus.missing_classes:
        console.print(f"[red]error: no file of class {escape(label)}")
    _problems(corpus.problems, console)


def _formats(corpus: Corpus) -> str:
    formats = Counter((utterance.sample_rate, utterance.channels) for utterance in corpus.utterances)
    names = {1: "mono", 2: "stereo"}
    return ", ".join(
        f"{number} at {rate} Hz {names.get(channels, f'{channels} channels')}"
        for (rate, channels), number in sorted(formats.items())
    )


def _counts(corpus: Corpus) -> Table:
    """Return a table of speakers by classes, with sums on both sides."""
    cells = Counter((utterance.speaker, utterance.label) for utterance in corpus.utterances)
    speakers = Counter(utterance.speaker for utterance in corpus.utterances)
    table = Table("speaker", show_footer=True)
    table.columns[0].footer = "all"
    for label in corpus.classes:
        table.add_column(escape(label), footer=str(corpus.counts[label]), justify="right")
    table.add_column("all", footer=str(len(corpus.utterances)), justify="right")
    for speaker, number in sorted(speakers.items()):
        row = [str(cells[speaker, label]) for label in corpus.classes]
        table.add_row(escape(speaker), *row, str(number))
    return table


def _problems(problems: tuple[Problem, ...], console: Console) -> None:
    for kind, number in sorted(Counter(problem.kind for problem in problems).items()):
        some = [problem for problem in problems if problem.kind == kind]
        colour, word = ("red", "error") if some[0].fatal else ("yellow", "warning")
        console.print(f"[{colour}]{word}: {number} {kind}")
        for problem in some[:LISTED]:
            console.print(f"  {escape(str(problem.path))}: {escape(problem.detail)}", soft_wrap=True)
        if number > LISTED:
            console.print(f"  ... and {number - LISTED} more")
