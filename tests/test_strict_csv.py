"""CSV as spreadsheets, scripts and hands write it: whole rows, or the line that isn't one."""

from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.strict_csv import read_rows

HEAD = "path,label,text"


def rows_of(folder: Path, content: str | bytes) -> list[tuple[int, str, list[str]]]:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(row.line, row.wrong, list(row.fields.values())) for row in read_rows(path, ["path", "label"])[1]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_come_with_their_lines_whatever_ends_a_line(tmp_path: Path, end: str) -> None:
    text = end.join(["\ufeffpath ,label,text", "a,x,one", "", ' b , y , "q"', 'c,z,"he said ""no"""', 'd,"x",'])
    assert rows_of(tmp_path, text) == [
        (2, "", ["a", "x", "one"]),
        (4, "", ["b", "y", '"q"']),
        (5, "", ["c", "z", 'he said "no"']),
        (6, "", ["d", "x", ""]),
    ]


def test_a_text_may_have_several_lines(tmp_path: Path) -> None:
    found = rows_of(tmp_path, f'{HEAD}\na,x,"well,\nyes"\nb,y,two\nc,z\n,,,\n')
    assert found == [
        (2, "", ["a", "x", "well,\nyes"]),
        (4, "", ["b", "y", "two"]),
        (5, "has 2 fields, and the first line names 3", ["c", "z"]),
        (6, "has 4 fields, and the first line names 3", ["", "", ""]),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f'{HEAD}\na,x,one\nb,y,"two\nc,z,three\n', "line 3: a quote that is not closed"),
        (f'{HEAD}\na,x,one\nb,y,"two\nc,z,"three"\n', "line 3: a quote that is not closed"),
        (f'{HEAD}\na,x,"one" or two\n', "line 2: a quote that is not closed, or stands inside"),
        (f'{HEAD}\na,x,"one\nb,y,two\nc,z,three"\n', "line 2: .* goes on to line 4, and line 3 reads as a row"),
        (f'{HEAD}\na,x,"one\nb,y,"\nc,z,three\n', "line 2: .* goes on to line 3, and line 3 reads as a row"),
        (f'{HEAD}\n"a,x,one\nb",y,two\n', "line 2: .* the column path has no line breaks"),
        ('path,"label,text\na,x",one\n', "line 1: .* line 2 reads as a row"),
        (f'{HEAD}\na,x,"{"y" * 140_000}"\n', "line 2: .*field limit"),
        (f"{HEAD}\na,x,one\nb,y,J\u00fcrgen\n".encode("latin-1"), "not a CSV file in UTF-8 .line 3"),
        (f"{HEAD}\na,x,one\n".encode("utf-16"), "not a CSV file in UTF-8 .line 1"),
    ],
)
def test_what_is_no_csv_is_refused_with_the_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(UserError, match=says):
        rows_of(tmp_path, content)
