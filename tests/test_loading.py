import gc
import subprocess
import sys
from pathlib import Path

import pytest

from ser_lightning.cli import VERBS
from ser_lightning.loading import only_modules_made

LOADED = """
import sys
from ser_lightning.cli import main
code = main({words})
print(code, *sorted({names} & set(sys.modules)))
"""
HEAVY = {"torch", "lightning", "numpy", "scipy", "matplotlib", "optuna", "wandb", "sklearn", "pandas"}


def loaded(words: list[str], names: set[str], folder: Path) -> list[str]:
    """The exit code of `ser WORDS`, and which of the modules `names` were there at its end."""
    code = LOADED.format(words=words, names=names)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], "0"),
        (["train", "--help"], "0"),
        (["train", "corpus=demo", "model.hiden_dim=3"], "2"),
        (["train", "corpus=demo", "tracking.mode=onlin"], "2"),
        (["crossval", "corpus=demo", "training.batch_size=0"], "2"),
    ],
)
def test_help_and_configuration_errors_load_nothing_heavy(words: list[str], code: str, tmp_path: Path) -> None:
    assert loaded(words, HEAVY, tmp_path) == [code]


def test_help_of_every_verb_and_an_unknown_setting_load_nothing_heavy(tmp_path: Path) -> None:
    helps = f"[main([*verb.split(), '--help']) for verb in {list(VERBS)}]"
    wrong = [[*verb.split(), "A", "wrong=1"] for verb, row in VERBS.items() if row.takes == "words" and row.settings]
    assert len(wrong) > 5
    script = f"import sys; from ser_lightning.cli import main; print(*{helps}, *[main(w) for w in {wrong}], sep='')"
    script += f"; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0" * len(VERBS) + "2" * len(wrong), ""]


TINY = ["experiment=demo_fused", "corpus.speakers=3", "corpus.utterances=2", "split.validation=1", "split.test=1"]
TINY += ["training.max_epochs=1", "training.batch_size=4", "training.accelerator=cpu"]


def test_a_training_loads_what_it_is_asked_for(tmp_path: Path) -> None:
    rest = {"wandb", "optuna", "sklearn", "pandas", "torchaudio", "tensorboard", "ser_lightning.sweeps", "scipy.signal"}
    assert loaded(["features", *TINY], set(), tmp_path) == ["0"]  # reading audio may need more
    assert loaded(["train", *TINY, "tracking.mode=off", "pictures=false"], rest, tmp_path) == ["0"]


def test_wandb_is_loaded_before_torch_where_it_will_be_used(tmp_path: Path) -> None:
    words = ["train", "experiment=emodb_fused", "corpus.root=nowhere"]
    order = "print([name for name in sys.modules if name in ('wandb.apis.public', 'torch')], gc.get_freeze_count() > 0)"
    script = f"import gc, sys; from ser_lightning.cli import main; main({words}); {order}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['wandb.apis.public', 'torch'] True"


def test_scipys_filters_are_the_real_ones_after_torchmetrics_was_loaded_without() -> None:
    script = "from ser_lightning.loading import torchmetrics_alone; import sys; torchmetrics_alone(); "
    script += "before = 'scipy.signal' in sys.modules; import torchmetrics.classification, scipy.signal; "
    script += "print(before, scipy.signal.lfilter([1.0], [1.0, -1.0], [1.0, 1.0, 1.0]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["False", "[1. 2. 3.]\n"]


FRESH = """
import gc, sys
from ser_lightning.loading import only_modules_made
{before}
with only_modules_made():
    paused = not gc.isenabled()
print(paused, gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("", "True True True"),
        ("gc.disable()", "True False False"),  # the user's choice stays
        ("sys.modules['torch'] = sys", "False True False"),
    ],
)
def test_the_collector_rests_in_a_fresh_process_only(before: str, found: str) -> None:
    code = FRESH.format(before=before)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == found.split()


def test_the_collector_goes_on_after_a_failed_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    try:
        with pytest.raises(ImportError), only_modules_made():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
