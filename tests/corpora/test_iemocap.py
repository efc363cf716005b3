"""IEMOCAP's layout, built in full with all that releases carry beside the labels, and what it lacks."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.iemocap_complete import complete
from ser_lightning.corpora.iemocap_files import Turn, turns
from ser_lightning.corpora.scan import CorpusError, scan
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError

from ..rights import ordinary
from . import iemocap_tree as tree
from .iemocap_tree import dialog

Make = Callable[..., Any]
Write = Callable[..., Path]


def litter(session: Path) -> None:
    """What releases carry beside the labels and the audio, none of which is either."""
    labels = session / "dialog/EmoEvaluation"
    wrong = f"[6.2901 - 8.2357]\t{session.name}_impro99_F000\tang\t[1.0, 1.0, 1.0]\n"
    for name in ("Attribute", "Categorical", "Self-evaluation"):
        (labels / name).mkdir()
        (labels / name / "Ses01F_impro01_e2_cat.txt").write_text(wrong)
    (labels / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07\xff" + wrong.encode())
    (labels / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    whole = session / "dialog/wav"
    whole.mkdir()
    (whole / "Ses01F_impro01.wav").touch()
    for folder in (session / "sentences/wav").iterdir():
        (folder / f"._{folder.name}_F000.wav").touch()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 5,531 utterances of the four-class set, their audio empty, and 100 others."""
    root = tmp_path_factory.mktemp("IEMOCAP_full_release")
    tree.build(root, Path.touch)
    for number in range(1, 6):
        others = {f"F{i:03}": "fru" if i < 18 else "xxx" for i in range(20)}
        dialog(root / f"Session{number}", f"Ses0{number}M_impro02", others)
        litter(root / f"Session{number}")
    return root


@pytest.fixture
def hidden(release: Path) -> Iterator[Callable[[str], None]]:
    """Return a function that takes a file out of the release for this test."""
    moved: list[tuple[Path, Path]] = []

    def hide(name: str) -> None:
        path = release / name
        moved.append((path, path.rename(path.with_suffix(".hidden"))))

    yield hide
    for path, away in moved:
        away.rename(path)


def test_the_tree_has_the_published_totals() -> None:
    cells = tree.table()
    assert {code: sum(row) for code, row in cells.items()} == tree.CLASSES
    assert [sum(column) for column in zip(*cells.values(), strict=True)] == [1085, 1023, 1151, 1031, 1241]
    assert tree.CLASSES == {"ang": 1103, "exc": 1041, "hap": 1636 - 1041, "neu": 1708, "sad": 1084}
    # By hand for Session4: 1031/5531 of each class, rounded down, is 205, 194, 110, 318 and 202; two are left.
    assert [row[3] for row in cells.values()] == [205, 194, 110, 318 + 2, 202]


def test_a_whole_release(release: Path, configured: Make) -> None:
    found = list(configured("iemocap", root=str(release)).entries())
    entries = [entry for entry in found if isinstance(entry, Entry)]
    assert len(found) == len(entries) == 5531 + 100
    assert Counter(entry.label for entry in entries) == {
        "anger": 1103,
        "happiness": 1636,
        "neutral": 1708,
        "sadness": 1084,
        "frustration": 90,
        "no agreement": 10,
    }
    assert {entry.session for entry in entries} == {"01", "02", "03", "04", "05"}
    assert {entry.speaker for entry in entries} == {f"0{i}{gender}" for i in range(1, 6) for gender in "FM"}
    one = next(entry for entry in entries if entry.id.startswith("Ses03F_script01_1b_M"))
    # F wore the markers in this dialog, M speaks.
    assert (one.speaker, one.session, one.text) == ("03M", "03", f"Said by {one.id[-4:]}.")
    assert one.path == release / f"Session3/sentences/wav/Ses03F_script01_1b/{one.id}.wav"


# Every other utterance of a session is scripted: 543 + 512 + 576 + 516 + 621 improvised ones, and the 100 others.
@pytest.mark.parametrize(("choice", "part", "count"), [("improvised", "_impro0", 2868), ("scripted", "_script0", 2763)])
def test_improvised_or_scripted(release: Path, configured: Make, choice: str, part: str, count: int) -> None:
    found = list(configured("iemocap", root=str(release), dialogs=choice).entries())
    assert all(isinstance(item, Entry) and part in item.id for item in found)
    assert len(found) == count


def problems(configured: Make, root: Path, **values: Any) -> list[Problem]:
    found = configured("iemocap", root=str(root), **values).entries()
    return [item for item in found if isinstance(item, Problem)]


def told(found: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.path.name, problem.detail) for problem in found]


def test_what_is_missing_is_named_before_the_choice(
    release: Path, configured: Make, hidden: Callable[[str], None]
) -> None:
    ids = [f"Ses02F_impro01_{turn}" for turn in ("F000", "M000", "F001")]  # angry ones
    for name in ids:
        hidden(f"Session2/sentences/wav/Ses02F_impro01/{name}.wav")
    for dialogs in ("both", "scripted"):
        summary, *lines = problems(configured, release, dialogs=dialogs)[:4]
        assert all(problem.kind == "missing" and problem.fatal for problem in (summary, *lines))
        assert summary.path == release
        assert summary.detail.startswith("5528 of the 5531 utterances of the four-class set are there; ")
        assert "corpus.allow_incomplete=true" in summary.detail
        assert told(lines) == [
            (release.name, "ang: 1100 of 1103 utterances"),
            ("Session2", "1020 of 1023 utterances"),
            ("Session2", f"3 labelled but without audio: {', '.join(ids)}"),
        ]


def test_a_missing_session(release: Path, configured: Make, hidden: Callable[[str], None]) -> None:
    hidden("Session4")
    summary, *lines = problems(configured, release)
    assert summary.detail.startswith("4500 of the 5531 ")
    assert told(lines) == [
        (release.name, "ang: 898 of 1103 utterances"),
        (release.name, "exc: 847 of 1041 utterances"),
        (release.name, "hap: 485 of 595 utterances"),
        (release.name, "neu: 1388 of 1708 utterances"),
        (release.name, "sad: 882 of 1084 utterances"),
        ("Session4", "0 of 1031 utterances"),
    ]


def test_a_dialog_without_audio_is_told_by_three_ids(
    release: Path, configured: Make, hidden: Callable[[str], None]
) -> None:
    hidden("Session3/sentences/wav/Ses03F_script01_1b")
    session = [text for path, text in told(problems(configured, release)) if path == "Session3"]
    ids = ", ".join(f"Ses03F_script01_1b_{turn}" for turn in ("F000", "M000", "F001"))
    assert session == ["576 of 1151 utterances", f"575 labelled but without audio: {ids}, ..."]


@pytest.fixture
def surplus(release: Path) -> Iterator[Callable[[int, str], None]]:
    """Return a function that adds one utterance to a session for this test."""
    added: list[Path] = []

    def add(number: int, code: str) -> None:
        dialog(release / f"Session{number}", f"Ses0{number}M_impro09", {"F000": code})
        added.append(release / f"Session{number}/dialog/EmoEvaluation/Ses0{number}M_impro09.txt")

    yield add
    for path in added:
        path.unlink()


def test_too_many_is_not_the_set_either(release: Path, configured: Make, surplus: Callable[[int, str], None]) -> None:
    surplus(5, "sad")
    summary, *lines = problems(configured, release)
    assert summary.fatal and summary.detail.startswith("5532 of the 5531 ")
    assert told(lines) == [(release.name, "sad: 1085 of 1084 utterances"), ("Session5", "1242 of 1241 utterances")]
    allowed = problems(configured, release, allow_incomplete=True)
    assert [problem.kind for problem in allowed] == ["incomplete"] * 3
    assert "allow_incomplete" not in allowed[0].detail


def test_audio_that_lacks_is_named_though_totals_agree(
    release: Path, configured: Make, hidden: Callable[[str], None], surplus: Callable[[int, str], None]
) -> None:
    hidden("Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav")
    surplus(2, "ang")
    summary, line = problems(configured, release)[:2]
    assert summary.fatal and summary.detail.startswith("5531 of the 5531 ")
    assert told([line]) == [("Session2", "1 labelled but without audio: Ses02F_impro01_F000")]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"code": "sad"}, ["exc: 1040 of 1041 utterances", "sad: 1085 of 1084 utterances"]),
        ({"code": "hap"}, ["exc: 1040 of 1041 utterances", "hap: 596 of 595 utterances"]),
        ({"session": "05"}, ["1084 of 1085 utterances", "1242 of 1241 utterances"]),
        ({}, []),
    ],
)
def test_classes_and_sessions_are_counted_apart(release: Path, changes: dict[str, Any], lines: list[str]) -> None:
    found = [turn for turn in turns(release) if isinstance(turn, Turn)]
    i = next(i for i, turn in enumerate(found) if (turn.session, turn.code) == ("01", "exc"))
    found[i] = replace(found[i], **changes)
    assert [problem.detail for problem in complete(release, found, allowed=False)][1:] == lines


@pytest.fixture
def small(tmp_path: Path, wav: Write) -> Path:
    """Three utterances with audio, one of which has no text and one label without audio."""
    dialog(tmp_path / "Session1", "Ses01M_impro05a", {"F000": "ang", "MXX0": "exc"}, audio=None)
    dialog(tmp_path / "Session1", "Ses01F_script02_2", {"M001": "neu", "M002": "neu"}, text=False, audio=None)
    for number, name in enumerate(("impro05a/Ses01M_impro05a_F000", "impro05a/Ses01M_impro05a_MXX0")):
        wav(tmp_path / f"Session1/sentences/wav/Ses01M_{name}.wav", number)
    wav(tmp_path / "Session1/sentences/wav/Ses01F_script02_2/Ses01F_script02_2_M001.wav", 5)
    return tmp_path


def test_incomplete_is_refused_unless_allowed(small: Path, tmp_path: Path, configured: Make) -> None:
    classes = ["anger", "happiness", "neutral"]
    told = r"3 of the 5531 utterances[\s\S]*neu: 1 of 1708[\s\S]*Session1: 3 of 1085[\s\S]*_M002\n"
    with pytest.raises(CorpusError, match=told):
        scan(configured("iemocap", root=str(small), classes=classes), tmp_path / "cache").check()
    adapter = configured("iemocap", root=str(small), classes=classes, allow_incomplete=True)
    corpus = scan(adapter, tmp_path / "cache")
    corpus.check()
    assert [(u.id, u.speaker, u.label, u.text) for u in corpus.utterances] == [
        ("Ses01F_script02_2_M001", "01M", "neutral", ""),
        ("Ses01M_impro05a_F000", "01F", "anger", "Said by F000."),
        ("Ses01M_impro05a_MXX0", "01M", "happiness", "Said by MXX0."),
    ]
    assert {problem.kind for problem in corpus.problems} == {"incomplete"}
    assert "Ses01F_script02_2_M002.wav" in {problem.path.name for problem in corpus.problems}


def test_lines_and_ids_that_cannot_be_read(small: Path, configured: Make) -> None:
    path = small / "Session1/dialog/EmoEvaluation/Ses01F_impro02.txt"
    path.write_text(
        f"{tree.HEADER}[1.0 - 2.0] Ses01F_impro02_F000 ang [1, 1, 1]\n"
        "[1.0 - 2.0]\tSes02F_impro02_F000\tang\t[1, 1, 1]\n"
        "[1.0 - 2.0]\tSes01F_other_F000\tang\t[1, 1, 1]\n"
        "[1.0 - 2.0]\tSes01F_impro02_F001\tjoy\t[1, 1, 1]\n"
    )
    found = configured("iemocap", root=str(small), allow_incomplete=True).entries()
    problems = [p for p in found if isinstance(p, Problem) and p.path == path]
    assert [p.kind for p in problems] == ["row", "misnamed", "misnamed", "misnamed"]
    for problem, text in zip(problems, ("line 3 is", "session 02, the folder Session1", "_other_", "joy"), strict=True):
        assert text in problem.detail


def test_another_folder(tmp_path: Path, configured: Make) -> None:
    with pytest.raises(UserError, match="holds no folder Session1 to Session5"):
        list(configured("iemocap", root=str(tmp_path)).entries())


@pytest.mark.parametrize("closed", ["dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav/Ses01F_impro01"])
def test_a_folder_that_can_not_be_read_is_no_incomplete_release(tmp_path: Path, configured: Make, closed: str) -> None:
    """Even where an incomplete one is allowed: labels, texts or audio would be left out without a word."""
    dialog(tmp_path / "Session1", "Ses01F_impro01", {"F000": "ang", "M000": "sad"})
    adapter = configured("iemocap", root=str(tmp_path), allow_incomplete=True)
    assert any(isinstance(item, Entry) for item in adapter.entries())
    folder = tmp_path / "Session1" / closed
    folder.chmod(0)
    with ordinary(), pytest.raises(UserError, match=rf"{folder}.*: cannot be read \(Permission denied\)"):
        list(adapter.entries())
    folder.chmod(0o700)
