"""What is printed stands as it is, on the right stream, whole where no terminal narrows it, and in any encoding."""

import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from rich.table import Table

from ser_lightning import console as module
from ser_lightning.cli import main
from ser_lightning.console import Screen, answer, any_text, console, results, say, track, written

ODD = ("out [/x]", "out [v2]", "[laughter]", "[bold]x[/bold]", ":warning:", "https://x/1,234", "'a' \\[b]")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`streams(encoding, terminal)`: standard output and error as such; what they were given by `read()`."""

    def made(encoding: str = "utf-8", terminal: bool = False) -> Any:
        raw = []
        for name in ("stdout", "stderr"):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
            monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
            monkeypatch.setattr(sys, name, stream)
            raw.append(stream.buffer)
        return lambda: [one.getvalue() for one in raw]  # type: ignore[attr-defined]

    yield made


@pytest.mark.parametrize("text", ODD)
def test_data_is_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(text)
    table.add_row(text)
    say(text)
    answer(text)
    answer(table)
    said = capsys.readouterr()
    assert said.err == f"{text}\n"
    assert said.out.startswith(f"{text}\n") and said.out.count(text) == 3


def test_a_table_is_whole_where_nobody_looks(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table(*"abcdef")
    table.add_row(*("x" * 90 for _ in "abcdef"))
    answer(table)
    assert capsys.readouterr().out.count("x" * 90) == 6
    say("y " * 900)
    assert capsys.readouterr().err == "y " * 900 + "\n"


@pytest.mark.parametrize(
    ("variables", "terminal", "expected"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "TTY_COMPATIBLE": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, True),
    ],
)
def test_bars_are_drawn_in_terminals_that_can(
    variables: dict[str, str], terminal: bool, expected: bool, streams: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    read = streams(terminal=terminal)
    screen = Screen(stderr=True)
    assert screen.is_terminal == expected
    monkeypatch.setattr(module, "console", screen)
    assert list(track([1, 2, 3], "counting", 3)) == [1, 2, 3]
    assert (b"counting" in read()[1]) == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_text_can_be_written_in_any_encoding(encoding: str, streams: Any) -> None:
    read = streams(encoding)
    any_text()
    name = os.fsdecode(b"caf\xe9 ")  # not UTF-8: its bytes are what it is called
    table = Table("class")
    table.add_row("wütend ± 1")
    answer(name + "±")
    answer(table)
    out = read()[0]
    assert out.startswith(b"caf\xe9 ")
    spelled = {"ascii": rb"w\xfctend +- 1", "latin-1": "wütend ± 1".encode("latin-1"), "utf-8": "wütend ± 1".encode()}
    assert spelled[encoding] in out
    assert ("━".encode() in out) == (encoding == "utf-8")
    assert encoding == "utf-8" or rb"\u25" not in out, "boxes are drawn of what can be written"


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_work_goes_on_where_its_messages_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Closed())
    monkeypatch.setattr(console, "quiet", False)
    say("one")
    say("two")
    assert console.quiet


def test_a_verb_whose_answer_is_not_read_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "quiet", False)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["config", "corpus=demo"]) == 141
    assert main(["train", "--help"]) == 141
    monkeypatch.setattr(module, "results", Screen(stderr=False))
    with pytest.raises(BrokenPipeError):
        answer("one")
    assert capsys.readouterr().err == ""


def test_a_full_disk_behind_the_output_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["config", "corpus=demo"]) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said and said.count("\n") == 1


def test_closed_streams_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["config", "corpus=demo"]) == 0
    assert main(["config", "corpus=dmo"]) == 2
    written()
