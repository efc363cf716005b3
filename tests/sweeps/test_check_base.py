"""What every trial would meet is told before a study is made, so that nothing has to be undone."""

from pathlib import Path

import pytest
import yaml

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.sweep import sweep

SPACE = {"training.learning_rate": [0.01, 0.02]}


@pytest.mark.parametrize(
    ("words", "study", "message"),
    [
        (["corpus.root=/nowhere/at.csv"], {}, "corpus.root: /nowhere/at.csv"),
        (["split.validation=5", "split.test=5"], {}, "split"),
        (["training.precision=16-mixed", "training.accelerator=cpu"], {}, "16-mixed needs a GPU"),
        (["split=kfold", "split.k=3"], {"crossval": {"folds": 4}}, r"study\.crossval\.folds=4: the split has 3"),
        (["split=kfold", "split.k=3", "split.fold=1"], {"crossval": {"folds": None}}, "leave split.fold out"),
    ],
)
def test_no_study_is_left_where_no_trial_could_run(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], study: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = [word for word in tiny if not ("split=kfold" in words and word.startswith("split."))]
    tree = {"study": study, "base": [*kept, *words], "space": SPACE}
    Path("s.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises((ConfigError, UserError), match=message):
        sweep(["s.yaml"])
    assert not Path("studies").exists()
