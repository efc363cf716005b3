"""What the learner refuses before it trains, and that its options train."""

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.errors import UserError
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train


def test_mixup_needs_a_mean_of_zero_where_lengths_differ(tiny: list[str]) -> None:
    words = [*tiny, "training.mixup=0.2", "features.mfcc.normalise=none"]
    with pytest.raises(UserError, match=r"training\.mixup.*`mfcc`.*features\.mfcc\.frames"):
        train(compose(words).config)
    train(compose([*words, "features.mfcc.frames=20", "training.max_epochs=1"]).config)


@pytest.mark.parametrize("word", ["training.mixup=0.2", "training.sampler=balanced"])
def test_options_train_and_repeat(tiny: list[str], trained: RunFolder, word: str) -> None:
    once = train(compose([*tiny, word]).config)
    again = train(compose([*tiny, word, f"runs_dir={once.path.parent}2"]).config)
    assert once.id == again.id != trained.id
    assert once.predictions.read_text() == again.predictions.read_text() != trained.predictions.read_text()
