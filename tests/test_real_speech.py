"""The main job on real speech: what it reaches, and that it reaches nothing where labels mean nothing."""

import csv
import random
from pathlib import Path

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.corpora.emodb import EmoDB
from ser_lightning.corpora.utterance import Entry
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.train import train

LABELS = {"W": "anger", "F": "happiness", "N": "neutral", "T": "sadness"}


def trained(words: list[str], tmp_path: Path, cache: Path) -> dict[str, dict[str, float]]:
    folders = [f"runs_dir={tmp_path / 'runs'}", f"cache_dir={cache}", "tracking.mode=off"]
    return evaluate(train(compose([*words, *folders]).config)).read_result()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("paper_fused", 3_732_296), pytest.param("paper_fused_large", 6_294_568, marks=pytest.mark.slow)],
)
def test_the_papers_systems_train_a_step(
    real_speech: Path, speech_cache: Path, tmp_path: Path, name: str, parameters: int
) -> None:
    words = [f"experiment={name}", "corpus=emodb", f"corpus.root={real_speech / 'emodb'}", "training.max_epochs=1"]
    result = trained([*words, "training.batch_size=4", "training.limit_train_batches=1"], tmp_path, speech_cache)
    assert result["parameters"] == parameters


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("name", "least"), [("emodb", 0.70), ("ravdess", 0.35)])
def test_unseen_speakers_are_understood(real_speech: Path, tmp_path: Path, name: str, least: float) -> None:
    # The validation part only: a gate on the test part would look at it again and again.
    folders = [f"runs_dir={tmp_path / 'runs'}", f"cache_dir={tmp_path / 'cache'}", "tracking.mode=off"]
    run = train(compose([f"experiment={name}_fused", f"corpus.root={real_speech / name}", *folders]).config)
    assert run.read_result()["validation"]["uar"] > least


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_shuffled_labels_stay_at_chance(real_speech: Path, tmp_path: Path) -> None:
    found = EmoDB(str(real_speech / "emodb"), list(LABELS.values()), LABELS).entries()
    rows = [entry for entry in found if isinstance(entry, Entry)]
    labels = [entry.label for entry in rows]
    random.Random(0).shuffle(labels)
    with (tmp_path / "shuffled.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(("id", "path", "label", "speaker"))
        table.writerows((e.id, e.path, label, e.speaker) for e, label in zip(rows, labels, strict=True))
    root = f"corpus.root={tmp_path / 'shuffled.csv'}"
    result = trained(
        ["corpus=table", root, f"corpus.classes=[{','.join(LABELS.values())}]"], tmp_path, tmp_path / "cache"
    )
    # 75 test utterances, of which the rarest class has 14: two standard errors of UAR around 0.25.
    assert 0.13 < result["test"]["uar"] < 0.37
