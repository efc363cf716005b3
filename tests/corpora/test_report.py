"""What `ser corpus` shows."""

from collections import Counter
from io import StringIO
from pathlib import Path

from rich.console import Console

from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.report import render
from ser_lightning.corpora.utterance import Kind, Problem, Utterance


def shown(*problems: Problem) -> list[str]:
    utterances = tuple(
        Utterance(f"{i}", Path("/c/a"), f"{i}", speaker, "", label, "", 900.0, 16_000, 1 + i % 2)
        for i, (speaker, label) in enumerate([("anna", "x"), ("anna", "x"), ("bert", "y"), ("bert", "x")])
    )
    corpus = Corpus(Path("/c"), utterances, ("x", "y", "z"), problems, Counter(song=7))
    out = StringIO()
    render(corpus, Console(file=out, width=100))
    return out.getvalue().splitlines()


def test_counts_by_speaker_and_class() -> None:
    lines = shown()
    assert lines[0].startswith("/c: 4 utterances, 2 speakers, 3 classes, 1.000 hours")
    assert "2 at 16000 Hz mono, 2 at 16000 Hz stereo" in lines[0]
    rows = [line.replace("│", " ").split() for line in lines]
    assert ["anna", "2", "0", "0", "2"] in rows
    assert ["bert", "1", "1", "0", "2"] in rows
    assert ["all", "3", "1", "0", "4"] in rows
    assert any("left out: 7 files of song" in line for line in lines)
    assert any("no file of class z" in line for line in lines)


def test_names_are_shown_as_they_stand() -> None:
    names = ["[laughter]", ":smile:", "[/b]", "back\\slash\\"]
    utterances = tuple(
        Utterance(name, Path("/c/[red]a"), name, f"[{name}", "", name, "", 1.0, 16_000, 1) for name in names
    )
    problem = Problem("near_silent", Path("/c/[v2]"), "[bold]why :wave:")
    corpus = Corpus(Path("/c [x]"), utterances, (*names, "[none]"), (problem,), Counter({"[b]": 1}))
    out = StringIO()
    render(corpus, Console(file=out, width=150))
    lines = out.getvalue()
    said = ["/c [x]: 4", "1 files of [b],", "class [none]", "/c/[v2]: [bold]why :wave:"]
    for shown in [*said, *names, *(f"[{name}" for name in names)]:
        assert shown in lines


def test_problems_by_kind_and_not_without_end() -> None:
    def problem(kind: Kind, name: str) -> Problem:
        return Problem(kind, Path(f"/c/[{name}]"), "why")

    lines = shown(problem("near_silent", "q"), *(problem("broken", f"b{i}") for i in range(23)))
    assert "error: 23 broken" in lines and "warning: 1 near_silent" in lines
    assert "  /c/[q]: why" in lines
    assert sum(line.startswith("  /c/[b") for line in lines) == 20
    assert "  ... and 3 more" in lines
