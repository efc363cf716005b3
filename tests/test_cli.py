"""The table of verbs, and what a process ends with."""

import errno
import subprocess
import sys

import pytest

from ser_lightning.cli import VERBS, main
from ser_lightning.config.components import load


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_leads_to_a_function(name: str) -> None:
    verb = VERBS[name]
    assert callable(load(verb.target))
    assert verb.shown is None or callable(load(verb.shown))


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_the_verbs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in VERBS)


def test_an_interrupt_anywhere_ends_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ser_lightning.runs.train.train", interrupted)
    assert main(["train", "corpus=demo"]) == 130


@pytest.mark.parametrize("name", VERBS)
def test_conf_is_offered_and_taken_where_something_is_composed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(" "), "--help"]) == 0
    shown = capsys.readouterr().out
    takes = VERBS[name].takes in ("config", "preview", "recipe")
    assert ("--conf" in shown) == ("group=choice" in shown) == takes
    assert main([*name.split(" "), "quick" if name == "sweep" else "A", "--conf", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert ("--conf nowhere: no such folder" if takes else "--conf nowhere: nothing is composed here") in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(config: object) -> None:
        raise OSError(number, "the system's words", "runs/metrics.csv")

    monkeypatch.setattr("ser_lightning.runs.train.train", full)
    assert main(["train", "corpus=demo"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ser: `runs/metrics.csv`: the system's words; ") and said.count("\n") == 1
    assert said.endswith(", then start the same command again\n")


def test_a_warning_after_a_verb_has_ended_changes_nothing() -> None:
    code = "import atexit, os, signal, ser_lightning.cli as cli; cli.main = lambda: 3; "
    code += "atexit.register(lambda: [os.kill(os.getpid(), number) for number in cli.SCHEDULERS]); cli.run()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3
