"""Parts from a file: every utterance has one, mistakes are named, its content is part of a run's identity."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ser_lightning.config.compose import compose
from ser_lightning.data.proof import LeakError, prove
from ser_lightning.data.split_file import FromFile
from ser_lightning.data.splits import PARTS, Assignment
from ser_lightning.errors import UserError
from ser_lightning.files import read_csv
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train


@dataclass(frozen=True)
class Utt:
    id: str
    speaker: str
    label: str = "a"
    session: str = ""

    @property
    def digest(self) -> str:
        return self.id


ROWS = [Utt("u1", "s1"), Utt("u2", "s2"), Utt("u3", "s3")]
GOOD = "id,part\nu1,test\nu2,train\nu3,validation\n"


def given(folder: Path, text: str) -> FromFile:
    (folder / "parts.csv").write_text(text, encoding="utf-8")
    return FromFile(str(folder / "parts.csv"))


def test_parts_are_those_of_the_file(tmp_path: Path) -> None:
    expected = {"u1": "test", "u2": "train", "u3": "validation"}
    assert given(tmp_path, GOOD).split(ROWS) == expected
    with_mark = "\ufeff" + GOOD.replace("\n", "\r\n") + "other,test\r\n"
    assert given(tmp_path, with_mark).split(ROWS) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("u3,", "u4,"), "no part for 1 of the corpus's 3 utterances, such as u3"),
        (GOOD.replace("part", "fold"), "no column part"),
        (GOOD.replace("validation", "dev"), "`u3` has the part `dev`"),
        (GOOD.replace("u2,train", "u2"), "line 3: has 1 field, and the first line names 2"),
        (GOOD.replace("u2,train", "u2,train,"), "line 3: has 3 fields, and the first line names 2"),
        (GOOD.replace("u2", '"u2'), "line 3: a quote that is not closed"),
        (
            GOOD.replace("u2", '"u2').replace("u3", 'u3"'),
            "line 3: .* goes on to line 4, and the column id has no line breaks",
        ),
        (GOOD.replace("u2,", '"u2\nb",'), "line 3: .* the column id has no line breaks"),
        (GOOD.replace(",", ";"), "separated by semicolons"),
        (GOOD + "u1,train\n", "u1 stands in it more than once"),
        ("", "no column id and part"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        given(tmp_path, text).split(ROWS)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split\.file=.*none\.csv"):
        FromFile(str(tmp_path / "none.csv")).split(ROWS)


def test_a_leaking_file_is_fatal(tmp_path: Path) -> None:
    rows = [*ROWS, Utt("u4", "s1", "b"), Utt("u5", "s3", "b"), Utt("u6", "s2", "b")]
    leaking = given(tmp_path, GOOD + "u4,train\nu5,validation\nu6,train\n")
    with pytest.raises(LeakError, match="speakers stand in two parts"):
        prove(rows, leaking.split(rows), leaking.speaker_dependent)


def test_classes_and_speakers_are_shown_as_they_stand() -> None:
    names = ["[red]a", ":smile:", "[/b]"]
    rows = [Utt(f"{speaker}{label}", speaker, label) for speaker in names for label in ("[laughter]", ":x:")]
    parts: Assignment = {row.id: PARTS[names.index(row.speaker)] for row in rows}
    out = StringIO()
    Console(file=out, width=100).print(prove(rows, parts, False).table())
    for name in [*names, "[laughter]", ":x:"]:
        assert name in out.getvalue()


def test_ids_match_in_any_form(tmp_path: Path) -> None:
    rows = [Utt("Zo\u00eb", "s1"), Utt("u2", "s2"), Utt("u3", "s3")]
    assert given(tmp_path, GOOD.replace("u1", "\u200bZoe\u0308 ")).split(rows)["Zo\u00eb"] == "test"


def test_its_content_decides_the_run_and_its_place_does_not(tiny: list[str], tiny_corpus: Path, tmp_path: Path) -> None:
    words = [w for w in tiny if not w.startswith("split.")] + ["split=file", "training.max_epochs=1"]
    ids = [Path(row["path"]).stem for row in read_csv(tiny_corpus)]
    part = {"s0": "test", "s1": "validation"}

    def run_with(name: str, parts: dict[str, str]) -> RunFolder:
        rows = "".join(f"{one},{parts.get(one[:2], 'train')}\n" for one in ids)
        (tmp_path / name).write_text("id,part\n" + rows)
        return train(compose([*words, f"split.file={tmp_path / name}"]).config)

    first = run_with("one.csv", part)
    assert {row["part"] for row in read_csv(first.split) if row["speaker"] == "s1"} == {"validation"}
    assert run_with("two.csv", part).id == first.id
    assert run_with("one.csv", {"s0": "validation", "s1": "test"}).id != first.id
    (tmp_path / "one.csv").unlink()
    assert "test" in evaluate(first).read_result()
