"""A group that is given a value: how values are given."""

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("training={max_epochs: 3}", "write training.max_epochs=3"),
        ("training={max_epochs: 3, gamma: 0.10}", "write training.max_epochs=3 training.gamma=0.10"),
        ("training={milestones: [1]}", "write training.milestones=..."),
        ("training=3", "such as training.max_epochs=3"),
        ("model=null", "write model.KEY=VALUE"),
        ("corpus=[a]", "write corpus.KEY=VALUE"),
        ("features=", "features takes a choice (compare, egemaps, paper, paper_small, small)"),
    ],
)
def test_a_group_with_a_value_is_told_how_values_are_given(word: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["corpus=demo", word])
    text = str(caught.value)
    assert text.startswith(f"`{word}`: {word.partition('=')[0]} takes a choice (")
    assert advice in text
    assert "\n" not in text


@pytest.mark.parametrize("word", ["training=defualt", "experiment={seed: 1}", "debug=null"])
def test_other_unknown_choices_are_listed(word: str) -> None:
    group, _, text = word.partition("=")
    with pytest.raises(ConfigError, match=f"unknown {group} `{text}`"):
        compose(["corpus=demo", word])
