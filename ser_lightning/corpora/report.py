"""Showing a corpus in the terminal: how much, who, which classes, what is wrong."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser_lightning.console import say
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.lengths import summary
from ser_lightning.corpora.utterance import NOTES, Problem
from ser_lightning.errors import listed


def render(corpus: Corpus, console: Console) -> None:
    """Print the lengths, the counts by speaker and class, what was left out, and the first problems of each kind."""
    speakers = {utterance.speaker for utterance in corpus.utterances}
    hours = sum(utterance.seconds for utterance in corpus.utterances) / 3600
    _say(
        console,
        f"{corpus.root}: {len(corpus.utterances)} utterances, {len(speakers)} speakers, "
        f"{len(corpus.classes)} classes, {hours:.3f} hours, {_formats(corpus)}",
    )
    if corpus.utterances:
        console.print(summary(corpus.utterances), soft_wrap=True)
    console.print(_counts(corpus))
    for label, number in sorted(corpus.left_out.items()):
        _say(console, f"left out: {number} files of {label}, which is not in corpus.classes")
    for label in corpus.missing_classes:
        _say(console, f"error: no file of class {label}", "red")
    _problems(corpus.problems, console)


def warnings(corpus: Corpus) -> Iterator[str]:
    """What `ser corpus` warns of, a line a kind: how many, and the first of them."""
    if corpus.left_out:
        labels = ", ".join(f"{number} of {label}" for label, number in sorted(corpus.left_out.items()))
        yield f"left out: {corpus.left_out.total()} files whose labels are not in corpus.classes ({labels})"
    warned = [problem for problem in corpus.problems if not problem.fatal and problem.kind not in NOTES]
    for kind, number in sorted(Counter(problem.kind for problem in warned).items()):
        first = next(problem for problem in warned if problem.kind == kind)
        more = "; `ser corpus` with the same words lists them all" if number > 1 else ""
        yield f"warning: {number} {kind}: {first.path}: {first.detail}{more}"


def _say(console: Console, text: str, style: str = "") -> None:
    """Print what holds names and paths as it stands: nothing in it is markup or an emoji's name."""
    console.print(Text(text, style), soft_wrap=True)


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
        table.add_column(Text(label), footer=str(corpus.counts[label]), justify="right")
    table.add_column("all", footer=str(len(corpus.utterances)), justify="right")
    for speaker, number in sorted(speakers.items()):
        row = [str(cells[speaker, label]) for label in corpus.classes]
        table.add_row(Text(speaker), *row, str(number))
    return table


def _problems(problems: tuple[Problem, ...], console: Console) -> None:
    for kind, number in sorted(Counter(problem.kind for problem in problems).items()):
        some = [problem for problem in problems if problem.kind == kind]
        level = "note" if kind in NOTES else "error" if some[0].fatal else "warning"
        _say(console, f"{level}: {number} {kind}", {"error": "red", "warning": "yellow", "note": ""}[level])
        for line in listed([f"{problem.path}: {problem.detail}" for problem in some]):
            _say(console, f"  {line}")


def say_warnings(corpus: Corpus) -> None:
    """Say in one line a kind what `ser corpus` warns of."""
    for line in warnings(corpus):
        say(line, "yellow")
