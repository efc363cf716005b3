"""What a search may look at is what results hold: compared with the result of a real training."""

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.config.tree import leaves
from ser_lightning.errors import ConfigError
from ser_lightning.runs.train import train
from ser_lightning.sweeps.measure import BY_EPOCH, check_measure, measures
from ser_lightning.training.history import read_history

NO_MEASURES = ("result_version", "extracted.mfcc")
"""Numbers that say nothing of a trial: the second depends on what was computed before."""


def test_measures_are_the_numbers_of_a_result(tiny: list[str]) -> None:
    config = compose([*tiny, "training.max_epochs=1", "pictures=false"]).config
    run = train(config)
    numbers = {key for key, found in leaves(run.read_result()) if type(found) in (int, float)}
    assert set(measures(config)) == numbers - set(NO_MEASURES)
    (row,) = read_history(run.metrics)
    assert all(row[key.replace(".", "/")] is not None for key in BY_EPOCH)


def test_a_plug_in_s_learner_may_add_what_it_likes_but_no_test_part(tiny: list[str]) -> None:
    config = compose(tiny).config
    with pytest.raises(ConfigError, match="`support_vectors` is no number"):
        check_measure("support_vectors", "here", config)
    config.training.learner = "own"
    check_measure("support_vectors", "here", config)
    with pytest.raises(ConfigError, match=r"`validation\.ur` is no number.*did you mean `validation\.uar`"):
        check_measure("validation.ur", "here", config)
    with pytest.raises(ConfigError, match=r"here: `last_epoch\.uar` looks at the test part"):
        check_measure("last_epoch.uar", "here", config)
