"""Values at the edges of their ranges pass, those just beyond are refused."""

from pathlib import Path

import pytest

from ser_lightning.config.checks import TEXTS
from ser_lightning.config.compose import compose
from ser_lightning.errors import ConfigError

EDGES = [
    ("training.max_epochs", ["1"], ["0", "-1"]),
    ("training.batch_size", ["1"], ["0", "-3"]),
    ("training.learning_rate", ["1e-9"], ["0", "-1e-3", ".nan", ".inf"]),
    ("training.weight_decay", ["0", "0.1"], ["-1e-9", ".nan"]),
    ("training.label_smoothing", ["0", "0.99"], ["1", "-0.1", ".nan"]),
    ("training.mixup", ["0", "0.2"], ["-0.1", ".inf"]),
    ("training.patience", ["null", "1"], ["0", "-1"]),
    ("training.accumulate_grad_batches", ["1"], ["0"]),
    ("training.gradient_clip_val", ["null", "1e-3"], ["0", "-1"]),
    ("training.num_workers", ["0", "4"], ["-1"]),
    ("training.spec_augment.time_masks", ["0", "2"], ["-1"]),
    ("training.spec_augment.mel_masks", ["0", "2"], ["-1"]),
    ("training.spec_augment.time_fraction", ["0", "1"], ["-0.1", "1.1"]),
    ("training.spec_augment.mel_fraction", ["0", "1"], ["-0.1", "1.1"]),
    ("training.limit_train_batches", ["null", "0.01", "0.99", "1", "1.0", "7"], ["0", "-1", "-0.5", "1.5", ".inf"]),
    ("extraction_workers", ["1", "16"], ["0", "-1"]),
    ("features.fine.frames", ["null", "1"], ["0", "-5"]),
]


@pytest.mark.parametrize("word", [f"{key}={value}" for key, values, _ in EDGES for value in values])
def test_values_in_range_pass(word: str) -> None:
    compose(["corpus=demo", word])


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, _, values in EDGES for value in values])
def test_values_out_of_range_are_named(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match="must be") as caught:
        compose(["corpus=demo", f"{key}={value}"])
    text = str(caught.value)
    assert text.startswith(f"{key}=")
    assert float(text.removeprefix(f"{key}=").partition(":")[0]) == pytest.approx(float(value.lstrip(".")), nan_ok=True)
    assert "\n" not in text


def test_a_value_of_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "mine.yaml").write_text("batch_size: 0\n")
    with pytest.raises(ConfigError, match=r"training\.batch_size=0: .* \(from conf/training/mine\.yaml\)"):
        compose(["corpus=demo", "training=mine"], str(tmp_path))


def test_steps_need_milestones() -> None:
    with pytest.raises(ConfigError, match=r"training\.milestones=\[10,20\]"):
        compose(["corpus=demo", "training.schedule=steps"])
    assert compose(
        ["corpus=demo", "training.schedule=steps", "training.milestones=[4]"]
    ).config.training.milestones == [4]


def test_imbalance_is_countered_once() -> None:
    with pytest.raises(ConfigError, match="counters imbalance twice"):
        compose(["corpus=demo", "training.sampler=balanced", "training.class_weights=balanced"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tracking.project=a/b", "it has /, none of which may be in it"),
        ("tracking.project=50%:c", "it has % :, none of which may be in it"),
        ("tracking.project=" + "x" * 129, "it has 129 characters, more than 128"),
        ("tracking.project=", "it is empty"),
        ("tracking.entity=team/project", "it has /"),
        ("tracking.group=" + "x" * 129, "more than 128"),
        ("tracking.job_type=" + "x" * 65, "more than 64"),
        ("tracking.tags=[a,'']", "it is empty"),
        ("tracking.tags=[" + "x" * 65 + "]", "more than 64"),
    ],
)
def test_names_that_wandb_refuses_are_refused_at_the_start(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{word.partition('=')[0]}=.*{said}.*, and W&B would refuse it"):
        compose(["corpus=demo", word])
    compose(["corpus=demo", word, "tracking.mode=off"])


def test_wandb_itself_draws_the_same_lines() -> None:
    from wandb.errors import UsageError
    from wandb.sdk.wandb_settings import Settings

    most, characters = TEXTS["project"]
    Settings(project="x" * most, run_tags=("x" * TEXTS["tags"][0],))
    for refused in ("x" * (most + 1), *characters):
        with pytest.raises((UsageError, ValueError)):
            Settings(project=refused)
    for tag in ("", "x" * (TEXTS["tags"][0] + 1)):
        with pytest.raises((UsageError, ValueError)):
            Settings(run_tags=(tag,))
