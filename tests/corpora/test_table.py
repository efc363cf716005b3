"""Tables as people write them: spreadsheets' marks, bad rows, labels of their own."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.scan import scan
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError

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
    assert list(adapter.entries()) == [
        Entry("audio/1", tmp_path / "audio/1.wav", "anna", "2", "happy", "Guten Tag"),
        Entry("audio/2", tmp_path / "audio/2.wav", "bert", "", "sad", ""),
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
        ("path;label;speaker", r"no column path, label, speaker"),
        ("path,label,speaker,Sesion", r"'Sesion'; did you mean 'session'"),
        ("path,label,speaker,speaker", r"'speaker' is there twice"),
    ],
)
def test_columns_are_checked(table: Callable[..., Any], header: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(table(header, "audio/1.wav,happy,a,b").entries())


def test_a_folder_and_another_encoding(tmp_path: Path, table: Callable[..., Any], configured: Make) -> None:
    with pytest.raises(UserError, match="needs the CSV file's path"):
        list(configured("table", root=str(tmp_path), classes=["happy"]).entries())
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        list(table("path,label,speaker", "audio/1.wav,happy,Jürgen", encoding="latin-1").entries())


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
    first, *problems = adapter.entries()
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
