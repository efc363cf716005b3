"""What is refused before a cross-validation begins."""

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import UserError
from ser_lightning.runs.prepare import prepare


def test_epochs_cannot_be_selected_where_there_are_none(tiny: list[str]) -> None:
    pytest.importorskip("opensmile")
    kept = [word for word in tiny if not word.startswith(("split", "model", "training"))]
    svm = [*kept, "split=kfold", "split.k=3", "features=egemaps", "model=linear_svm", "training=classical"]
    prepared = prepare(compose(svm).config)
    with pytest.raises(UserError, match=r"^selected_on_test: training\.learner=classical has no epochs to select;"):
        plan(prepared, Settings(selected_on_test=True))
    assert len(plan(prepared, Settings()).tasks) == 3
