"""Tables as people write them: spreadsheets' marks, bad rows, labels of their own."""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.corpora.scan import scan
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import ConfigError, UserError

Make = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, configured: Make, wav: Write) -> Callable[..., Any]:
    """Return a function that writes the CSV beside two files and returns its adapter."""
    wav(tmp_path / "audio/1.wav", 1)
    wav(tmp_path / "audio/2.wav", 2)

    def write(*lines: str, encoding: str = "utf-8", **overrides: Any) -> Any:
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return configured("table", root=str(path), **({"classes": ["happy", "sad"]} | overrides))

    return write


def test_relative_and_absolute_paths_and_a_byte_order_mark(tmp_path: Path, table: Callable[..., Any]) -> None:
    adapter = table(
        "path,label,speaker,age,session,text",
        "audio/1.wav,happy,anna,31,2,Guten Tag",
        f"{tmp_path}/audio/../audio/2.wav,sad,bert,,,",
        encoding="utf-8-sig",
    )
    unused, *entries = adapter.entries()
    assert (unused.kind, unused.detail, unused.fatal) == ("unused", "columns that are not used: 'age'", False)
    assert entries == [
        Entry("audio/1", tmp_path / "audio/1.wav", "anna", "2", "happy", "Guten Tag"),
        Entry(f"{tmp_path}/audio/2", tmp_path / "audio/2.wav", "bert", "", "sad", ""),
    ]


def test_ids_and_labels_of_its_own(tmp_path: Path, table: Callable[..., Any]) -> None:
    rows = ["id,path,label,speaker", "u1,audio/1.wav,joy,a", "u2,audio/2.wav,bored,a"]
    adapter = table(*rows, labels={"joy": "happy", "bored": "boredom"}, classes=["happy"])
    corpus = scan(adapter, tmp_path)
    assert [(u.id, u.label) for u in corpus.utterances] == [("u1", "happy")]
    assert corpus.left_out == {"boredom": 1}


def test_bad_rows_come_with_their_lines(tmp_path: Path, table: Callable[..., Any]) -> None:
    adapter = table(
        "path,label,speaker,text",
        "audio/1.wav,happy,anna,",
        "audio/2.wav,happy",
        "audio/2.wav,happy,anna,one,two",
        "audio/2.wav,, ,",
        "audio/2.wav,hapy,anna,",
        "audio/3.wav,happy,anna,",
    )
    problems = [item for item in adapter.entries() if isinstance(item, Problem)]
    assert [(p.kind, p.path.name) for p in problems] == [("row", "table.csv")] * 4 + [("missing", "3.wav")]
    assert [problem.detail.partition("line ")[2][0] for problem in problems] == list("34567")
    assert "no label and no speaker" in problems[2].detail
    assert "'hapy'" in problems[3].detail
    assert all(problem.fatal for problem in problems)


def test_a_file_listed_twice_is_fatal(tmp_path: Path, table: Callable[..., Any]) -> None:
    adapter = table("path,label,speaker", "audio/1.wav,happy,a", "audio/./1.wav,sad,a")
    corpus = scan(adapter, tmp_path)
    assert [(p.kind, p.fatal) for p in corpus.problems] == [("twice", True)]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,emotion,speaker", r"no column label; its first line names path, emotion, speaker"),
        ("path\tlabel\tspeaker", r"separated by tabs"),
        ("path;label;speaker", r"no column path, label, speaker; .* separated by semicolons"),
        ("Path,label,speaker,text", r"no column path; .*; rename 'Path' to 'path'"),
        ("path,label,speaker,speaker", r"'speaker' is there twice"),
    ],
)
def test_columns_are_checked(table: Callable[..., Any], header: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(table(header, "audio/1.wav,happy,a,b").entries())


def test_a_folder_and_another_encoding(tmp_path: Path, table: Callable[..., Any], configured: Make) -> None:
    with pytest.raises(UserError, match="needs the CSV file's path"):
        list(configured("table", root=str(tmp_path), classes=["happy"]).entries())
    with pytest.raises(UserError, match=r"not a CSV file in UTF-8 \(line 2"):
        list(table("path,label,speaker", "audio/1.wav,happy,Jürgen", encoding="latin-1").entries())


def test_a_table_without_rows_says_so(tmp_path: Path, table: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"table\.csv has no rows below its first line"):
        scan(table("path,label,speaker"), tmp_path)
    with pytest.raises(UserError, match=r"no column path, label, speaker; it is empty"):
        scan(table(""), tmp_path)


def test_other_columns_are_named_and_not_used(tmp_path: Path, table: Callable[..., Any]) -> None:
    corpus = scan(
        table(",idx,path,label,speaker,Sesion,idx", "0,7,audio/1.wav,happy,a,1,8", classes=["happy"]), tmp_path
    )
    assert [(u.id, u.session) for u in corpus.utterances] == [("audio/1", "")]
    assert [(p.kind, p.detail) for p in corpus.problems] == [
        ("alike", "the column 'Sesion' is not used; did you mean 'session'? rename it"),
        ("unused", "columns that are not used: '', 'idx', 'Sesion'"),
    ]
    corpus.check()


@pytest.mark.parametrize(
    ("written", "kind", "says"),
    [
        ("~nobody-of-this-name/1.wav", "row", "line 2: .* knows no home of `~nobody-of-this-name`"),
        ("audio\\1.wav", "missing", r"line 2 of .* has backslashes, .* write audio/1\.wav"),
        ("C:\\audio\\1.wav", "missing", r"write \.\.\./audio/1\.wav"),
        ("https://example.org/1.wav", "row", "is an address, and a table names files"),
        ("s3://bucket/1.wav", "row", "is an address"),
        ("audio/" + 300 * "x" + ".wav", "row", r"\(310 characters\)` can't be looked for: File name too long"),
        ("audio/1\0.wav", "row", "NUL byte"),
        ("audio", "missing", "`audio` is a folder"),
        ("audio/\u200b1.wav", "missing", "invisible character"),
        ("$HOME/1.wav", "missing", "tables have no variables"),
        ("link.wav", "missing", "a link to nothing"),
        ("pipe.wav", "missing", "no regular file"),
        ("1.wav", "missing", "`1.wav` is not below .*, where relative paths of this table start$"),
        ("/nowhere/1.wav", "missing", "`/nowhere/1.wav` is not there"),
    ],
)
def test_paths_that_name_no_file(tmp_path: Path, table: Callable[..., Any], written: str, kind: str, says: str) -> None:
    (tmp_path / "link.wav").symlink_to("gone.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    (problem,) = table("path,label,speaker", f"{written},happy,a").entries()
    assert (problem.kind, problem.fatal) == (kind, True)
    assert re.search(says, problem.detail)


def test_a_home_folder_and_another_working_folder(
    tmp_path: Path, table: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "audio"))
    monkeypatch.chdir(tmp_path / "audio")
    entry, problem = table("path,label,speaker", "~/1.wav,happy,a", "2.wav,happy,a").entries()
    assert (entry.id, entry.path) == ("~/1", tmp_path / "audio/1.wav")
    assert problem.detail.endswith("there is one below the working directory, which does not count")


def test_a_name_in_another_unicode_form(tmp_path: Path, table: Callable[..., Any], wav: Write) -> None:
    wav(tmp_path / "audio/Zoe\u0308.wav", 3)  # as macOS writes it
    (problem,) = table("path,label,speaker", "audio/Zo\u00eb.wav,happy,a").entries()
    assert "another Unicode form (NFD)" in problem.detail
    (entry,) = table("path,label,speaker", "audio/Zoe\u0308.wav,happy,a").entries()
    assert entry.id == "audio/Zo\u00eb"


def test_an_id_is_the_path_as_written_wherever_the_table_lies(tmp_path: Path, table: Callable[..., Any]) -> None:
    absolute = f"{tmp_path}/audio/1.wav"
    rows = ["path,label,speaker", "./audio//2.wav,happy,a", f"{absolute},sad,a"]
    assert [entry.id for entry in table(*rows).entries()] == ["audio/2", f"{tmp_path}/audio/1"]
    (_, problem) = table("path,label,speaker", "audio/1.wav,happy,a", f"{absolute},happy,a").entries()
    assert (problem.kind, problem.detail.partition(" of")[0]) == ("twice", "named in line 2 and in line 3")


def test_labels_are_one_in_any_spelling_that_looks_the_same(tmp_path: Path, table: Callable[..., Any]) -> None:
    adapter = table(
        "path,label,speaker",
        "audio/1.wav,g\u200bai\u0302t\u00e9,a",
        "audio/2.wav,Gai\u0302t\u00e9\ufeff,a",
        classes=["ga\u00eete\u0301"],
        labels={"Ga\u00eet\u00e9": "gai\u0302t\u00e9"},
    )
    corpus = scan(adapter, tmp_path)
    assert corpus.classes == ("ga\u00eet\u00e9",)
    assert corpus.counts == {"ga\u00eet\u00e9": 2}


def test_an_unknown_label_asks_what_was_meant(table: Callable[..., Any]) -> None:
    (problem,) = table("path,label,speaker", "audio/1.wav,Hapy,a").entries()
    assert "did you mean 'happy'?" in problem.detail


def test_the_labels_of_a_table_are_counted(table: Callable[..., Any]) -> None:
    rows = ["a.wav,joy,a", "b.wav,happy,a", "c.wav,bored,a", "d.wav,,a"]
    adapter = table("path,label,speaker", *rows, labels={"joy": "happy"}, classes=[])
    assert adapter.labels_found() == f"{adapter.root} has the labels happy (2), bored (1)"
    with pytest.raises(
        ConfigError, match=r"corpus\.classes is empty; .*\(.* has the labels happy \(2\), bored \(1\)\)"
    ):
        scan(adapter, Path("never_read"))
    with pytest.raises(
        ConfigError, match=r"give corpus\.classes=\.\.\.; .* has the labels joy \(1\), happy \(1\), bor"
    ):
        compose(["corpus=table", f"corpus.root={adapter.root}"])


@pytest.mark.parametrize("end", ["0.05", "0.046", "0 days 00:00:00.05", "1 day", "", "NaN", "9"])
def test_a_row_may_name_its_whole_file(tmp_path: Path, table: Callable[..., Any], end: str) -> None:
    corpus = scan(table("path,label,speaker,start,end", f"audio/1.wav,happy,a,0,{end}", classes=["happy"]), tmp_path)
    assert (corpus.utterances[0].seconds, corpus.problems) == (0.05, ())


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("0.01", "", "line 2: .* a part of the file \\(0.01 s to its end\\)"),
        ("0", "0.04", r"line 2: .* \(0 s to 0.04 s\).* it is 0.050 s long"),
        ("", "0:00:00.02", r"\(0 s to 0.02 s\)"),
        ("0", "soon", "end `soon` is no time"),
        ("-1", "", "start `-1` is no time"),
    ],
)
def test_a_row_that_names_a_part_of_its_file_is_refused(
    tmp_path: Path, table: Callable[..., Any], start: str, end: str, says: str
) -> None:
    corpus = scan(table("path,label,speaker,Start,end", f"audio/1.wav,happy,a,{start},{end}"), tmp_path)
    (problem,) = corpus.problems
    assert (problem.kind, problem.fatal) == ("row", True)
    assert re.search(says, problem.detail)


@pytest.fixture
def parquet(tmp_path: Path, wav: Write, configured: Make) -> Callable[..., Any]:
    """Return a function that writes columns as Parquet beside one file and returns its adapter."""
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    wav(tmp_path / "1.wav", 1)

    def write(columns: dict[str, Any]) -> Any:
        path = tmp_path / "table.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return configured("table", root=str(path), classes=["happy", "sad"])

    importlib.import_module("pyarrow.parquet")
    return write


def test_parquet_rows_are_as_those_of_a_csv(tmp_path: Path, parquet: Callable[..., Any]) -> None:
    adapter = parquet(
        {
            "path": ["1.wav", "1.wav", "2.wav", None],
            "label": ["happy", "hapy", "sad", "sad"],
            "speaker": [7, 8, 9, 10],
            "session": [2.5, float("nan"), None, None],
            "embedding": [[1.0], [2.0], [3.0], [4.0]],
        }
    )
    unused, first, *problems = adapter.entries()
    assert unused.detail == "columns that are not used: 'embedding'"
    assert first == Entry("1", tmp_path / "1.wav", "7", "2.5", "happy", "")
    assert [(p.kind, p.path.name) for p in problems] == [
        ("row", "table.parquet"),
        ("missing", "2.wav"),
        ("row", "table.parquet"),
    ]
    assert ["row 2" in problems[0].detail, "row 3" in problems[1].detail, "row 4: no path" in problems[2].detail] == [
        True
    ] * 3


def test_what_is_wrong_with_a_parquet_file(tmp_path: Path, parquet: Callable[..., Any], configured: Make) -> None:
    with pytest.raises(UserError, match=r"no column label; .* path, speaker"):
        list(parquet({"path": ["1.wav"], "speaker": ["a"]}).entries())
    content = (tmp_path / "table.parquet").read_bytes()
    for wrong in (b"path,label,speaker\n", content[:-20]):
        (tmp_path / "table.parquet").write_bytes(wrong)
        with pytest.raises(UserError, match="is not a Parquet file"):
            list(configured("table", root=str(tmp_path / "table.parquet"), classes=["happy"]).entries())


def test_without_pyarrow_the_remedy_is_named(
    tmp_path: Path, parquet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = parquet({"path": ["1.wav"], "label": ["sad"], "speaker": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'ser-lightning\[parquet\]'`, or save the table as CSV"):
        list(adapter.entries())
