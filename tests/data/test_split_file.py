"""Parts from a file: every utterance has one, mistakes are named, its content is part of a run's identity."""

import json
import re
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ser_lightning.config.compose import compose
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.proof import LeakError, prove
from ser_lightning.data.split_file import FromFile
from ser_lightning.data.splits import PARTS, Assignment, Part, fold_numbers
from ser_lightning.errors import UserError
from ser_lightning.files import read_csv
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train
from ser_lightning.tracking.wandb import tags


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
        (GOOD.replace("part", "when"), "no column part"),
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


def fold_rows(*speakers: str) -> list[Utt]:
    """Four utterances a speaker, two a class."""
    return [Utt(f"{who}{take}", who, "ab"[take % 2]) for who in speakers for take in range(4)]


def folds_file(folder: Path, rows: list[Utt], tests: dict[int, set[str]], **keys: object) -> FromFile:
    """A file in which each fold tests some speakers and trains on all others."""
    lines = [f"{u.id},{fold},{'test' if u.speaker in who else 'train'}" for fold, who in tests.items() for u in rows]
    (folder / "folds.csv").write_text("\n".join(["id,fold,part", *lines]) + "\n")
    return FromFile(str(folder / "folds.csv"), **keys)  # type: ignore[arg-type]


def speakers_of(rows: list[Utt], parts: dict[str, Part], part: str) -> set[str]:
    return {u.speaker for u in rows if parts[u.id] == part}


def test_training_speakers_validate_where_the_file_says_nobody_does(tmp_path: Path) -> None:
    rows = fold_rows(*(f"s{i}" for i in range(8)))
    drawn = set()
    for seed in range(4):
        splitter = folds_file(tmp_path, rows, {0: {"s0", "s1"}}, seed=seed)
        parts = splitter.split(rows)
        assert speakers_of(rows, parts, "test") == {"s0", "s1"}
        found = speakers_of(rows, parts, "validation")
        assert len(found) == 2
        assert not found & {"s0", "s1"} and not found & speakers_of(rows, parts, "train")
        assert splitter.split(rows[::-1]) == parts
        drawn.add(frozenset(found))
    assert len(drawn) > 1
    three = folds_file(tmp_path, rows, {0: {"s0", "s1"}}, validation=3)
    assert len(speakers_of(rows, three.split(rows), "validation")) == 3
    with pytest.raises(UserError, match=r"split\.validation=6.*6 groups of speakers are left"):
        folds_file(tmp_path, rows, {0: {"s0", "s1"}}, validation=6).split(rows)
    (tmp_path / "own.csv").write_text("id,part\n" + "".join(f"{u.id},validation\n" for u in rows))
    with pytest.raises(UserError, match=r"split\.validation=1: .*own\.csv has a validation part of its own"):
        FromFile(str(tmp_path / "own.csv"), validation=1).split(rows)


def test_stratified_speakers_bring_the_classes_that_the_drawn_one_lacks(tmp_path: Path) -> None:
    # Two of a alone, two of b alone: two of one kind would validate a single class.
    rows = [Utt(f"{who}{i}", who, label) for who, label in zip("stuvwx", "aabbab", strict=True) for i in range(3)]
    for seed in range(6):
        splitter = folds_file(tmp_path, rows, {0: {"w", "x"}}, seed=seed, stratify=True)
        parts = splitter.split(rows)
        assert {u.label for u in rows if parts[u.id] == "validation"} == {"a", "b"}


def test_folds_are_called_as_the_file_calls_them(tmp_path: Path) -> None:
    rows = fold_rows("s0", "s1", "s2", "s3")
    splitter = folds_file(tmp_path, rows, {k: {f"s{k - 1}"} for k in (1, 2, 3, 4)}, fold=3, validation=1)
    assert fold_numbers(splitter, rows) == [1, 2, 3, 4] and splitter.folds(rows) == 4
    assert speakers_of(rows, splitter.split(rows), "test") == {"s2"}
    assert splitter.digest != replace(splitter, fold=2).digest
    with pytest.raises(UserError, match=r"split\.fold=0: .*folds 1, 2, 3, 4; choose one of them, or run all"):
        replace(splitter, fold=0).split(rows)
    with pytest.raises(
        UserError, match=r"folds\.csv, fold 3: no part for 1 of the corpus's 17 utterances, such as new"
    ):
        splitter.split([*rows, Utt("new", "s4")])
    one_row_each = "".join(f"{u.id},{u.speaker[1]}\n" for u in rows)
    (tmp_path / "short.csv").write_text("id,fold\n" + one_row_each)
    short = FromFile(str(tmp_path / "short.csv"), fold=2, validation=1)
    assert short.split(rows) == splitter.split(rows)
    assert fold_numbers(short, rows) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,fold,part\nu1,1,test\nu1,1,train\n", "fold 1: u1 stands in it more than once"),
        ("id,fold,part\nu1,one,test\n", "`u1` has the fold `one`; folds are whole numbers"),
        ("id,fold,part\nu1,,test\n", "`u1` has the fold ``"),
        ("id,fold,part\nu1,1,test\nu1,3,test\n", "its folds are 1, 3; number them from 0 or 1 on, without a gap"),
        ("id,fold,part\nu1,1,dev\n", "fold 1: `u1` has the part `dev`"),
        ("id,fold\nu1,1\nu1,2\n", "u1 stands in it more than once"),
    ],
)
def test_mistakes_in_folds_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        given(tmp_path, text).split(ROWS)


def test_the_list_that_the_documentation_shows_is_taken(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "partitions.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    (tmp_path / "partition.csv").write_text(block)
    rows = [Utt(one, one[:2], one[5]) for one in sorted({line.partition(",")[0] for line in block.splitlines()[1:]})]
    for fold, who in ((1, "03"), (2, "09")):
        splitter = FromFile(str(tmp_path / "partition.csv"), fold=fold, validation=1)
        proof = prove(rows, splitter.split(rows), splitter.speaker_dependent)
        assert proof.speakers["test"] == [who] and proof.utterances == {"train": 2, "validation": 2, "test": 2}


def test_shared_speakers_are_refused_by_name_with_the_key_that_takes_them(
    tiny: list[str], tiny_corpus: Path, tmp_path: Path
) -> None:
    """Every speaker's first take tests: as EmoBox's EMO-DB folds, train and test lists alone."""
    ids = [Path(row["path"]).stem for row in read_csv(tiny_corpus)]
    partition = tmp_path / "dependent.csv"
    rows = [f"{one},{fold},{'test' if one.endswith(str(fold)) else 'train'}" for fold in (0, 1, 2) for one in ids]
    partition.write_text("\n".join(["id,fold,part", *rows]) + "\n")
    words = [*(w for w in tiny if not w.startswith("split.")), "split=file", f"split.file={partition}"]
    everyone = ", ".join(f"s{i}" for i in range(6))
    with pytest.raises(LeakError, match=r"train\+test \(s\d.*validation\+test.*split\.speaker_dependent=true") as told:
        train(compose(words).config)
    assert all(who in str(told.value) for who in everyone.split(", "))
    config = compose([*words, "split.speaker_dependent=true", "training.max_epochs=1", "split.fold=1"]).config
    run = train(config)
    assert run.read_result()["labels"] == ["speaker_dependent"]
    proof = json.loads(run.proof.read_text())
    assert proof["speaker_dependent"] and proof["speakers"]["test"] == everyone.split(", ")
    assert len(proof["speakers"]["validation"]) == 2 and len(proof["speakers"]["train"]) == 4
    assert "speaker_dependent" in tags(config, run.read_result()["labels"])
    assert evaluate(run).read_result()["labels"] == ["speaker_dependent"]
    chosen = plan(prepare(compose([*words, "split.speaker_dependent=true"]).config), Settings())
    assert [task.fold for task in chosen.tasks] == [0, 1, 2] and chosen.labels == ["speaker_dependent"]
    test_ids = [{i for i, part in task.prepared.split()[0].items() if part == "test"} for task in chosen.tasks]
    assert set.union(*test_ids) == set(ids) and sum(map(len, test_ids)) == len(ids)
