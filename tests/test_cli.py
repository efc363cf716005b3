"""The table of verbs, and what a process ends with."""

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
