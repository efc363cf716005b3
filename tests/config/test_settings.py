"""What a verb takes beside a configuration."""

from dataclasses import dataclass

import pytest

from ser_lightning.config.settings import names_and
from ser_lightning.errors import ConfigError


@dataclass(frozen=True)
class Example:
    weights: list[float] | None = None
    """Weights."""
    step: float = 0.5
    """A step."""


def test_names_come_first_and_settings_are_typed() -> None:
    names, settings = names_and(Example, ["a", "b", "weights=[1,0.5]", "step=1"])
    assert (names, settings) == (["a", "b"], Example([1.0, 0.5], 1.0))
    assert names_and(Example, ["weights=null"]) == ([], Example())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("weights=0.5", "`weights=0.5`: takes a list; write weights=[0.5,...]"),
        ("weights=[a]", "weights"),
        ("step=much", "step"),
        ("stepp=1", "unknown setting `stepp`; did you mean `step`?"),
    ],
)
def test_mistakes_are_named_in_the_words_of_the_command_line(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        names_and(Example, ["a", word])
    assert said in str(refused.value)
    assert "Node" not in str(refused.value)
