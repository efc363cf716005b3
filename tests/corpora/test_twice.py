"""A tree in itself is one problem, whatever its size."""

from pathlib import Path

from ser_lightning.corpora.twice import once
from ser_lightning.corpora.utterance import Entry


def entry(path: str) -> Entry:
    return Entry(Path(path).stem, Path("/c") / path, "s", "", "x", "")


def test_a_tree_in_itself_is_one_problem_that_names_both() -> None:
    names = [f"Actor_0{actor}/{actor}{take}.wav" for actor in (1, 2) for take in range(5)]
    kept, problems = once([entry(name) for name in names] + [entry(f"copy/{name}") for name in names])
    assert [item.path for item in kept] == [Path("/c") / name for name in names]
    assert [(p.kind, p.path, p.fatal) for p in problems] == [("twice", Path("/c"), True)]
    assert "10 files are also in /c/copy" in problems[0].detail


def test_two_formats_side_by_side_are_one_problem() -> None:
    kept, problems = once(entry(name) for name in ("a/1.wav", "a/1.flac", "a/2.wav", "a/2.flac", "a/3.wav"))
    assert [item.path.name for item in kept] == ["1.wav", "2.wav", "3.wav"]
    assert len(problems) == 1
    assert "2 ids there twice, such as 1: 1.wav and 1.flac" in problems[0].detail


def test_different_ids_are_no_problem() -> None:
    assert once([entry("a/1.wav"), entry("b/2.wav")])[1] == []
