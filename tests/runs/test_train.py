"""A training from configuration to result.json: what it leaves, how it resumes, what makes another run."""

import csv
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Training
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv, write_csv
from ser_lightning.processes.signals import stopping
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder, open_run
from ser_lightning.runs.train import train
from ser_lightning.threads import threads
from ser_lightning.training.device import find_device
from ser_lightning.training.history import read_history
from ser_lightning.training.module import NonFiniteLossError

from ..waiting import until
from ..warm import Ser


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoints / "best.ckpt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


@pytest.fixture
def run(trained: RunFolder) -> RunFolder:
    return trained


def test_what_a_run_leaves(run: RunFolder) -> None:
    left = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert left == {
        "config.yaml",
        "environment.json",
        "split.csv",
        "split_proof.json",
        "metrics.csv",
        "predictions.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last_epoch.ckpt",
        "checkpoints/fit.json",
        "attempt",
        ".lock",
        "learning_curves.png",
        "confusion_validation.png",
        "run.log",
        "result.json",
    }
    assert open_run(str(run.path))[1].model == {
        "name": "mfcc_lstm",
        "hidden_dim": 8,
        "stream": "mfcc",
        "num_layers": 1,
        "dropout": run.read_config().model["dropout"],
    }


def test_result_is_recomputed_from_predictions_and_is_of_the_best_epoch(run: RunFolder) -> None:
    result = run.read_result()
    found = Predictions.read(run.predictions)
    assert set(found.parts) == {"validation"}
    assert result["validation"] == json.loads(json.dumps(found.scores().as_dict()))
    uars = [row["validation/uar"] for row in read_history(run.metrics)]
    assert result["validation"]["uar"] == pytest.approx(max(u for u in uars if u is not None), abs=1e-6)
    assert uars[result["checkpoint"]["epoch"]] == max(u for u in uars if u is not None)
    assert result["epochs"] == len(uars) == 3
    assert result["labels"] == []


def test_the_split_and_its_proof_are_stored(run: RunFolder) -> None:
    homes: dict[str, set[str]] = {}
    for row in read_csv(run.split):
        homes.setdefault(row["speaker"], set()).add(row["part"])
    assert all(len(home) == 1 for home in homes.values())
    proof = json.loads(run.proof.read_text())
    assert not any(proof["shared_speakers"].values()) and not any(proof["shared_digests"].values())


def test_the_kept_checkpoint_is_weights_only(run: RunFolder) -> None:
    assert "optimizer_states" not in torch.load(run.checkpoints / "best.ckpt", weights_only=True)


def test_a_finished_run_returns_at_once(run: RunFolder, tiny: list[str]) -> None:
    before = run.result.stat().st_mtime_ns
    assert train(compose(tiny).config).path == run.path
    assert run.result.stat().st_mtime_ns == before


def test_changed_audio_or_labels_make_another_run(
    run: RunFolder, tiny: list[str], tiny_corpus: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(tiny_corpus.parent, moved, ignore=shutil.ignore_patterns("cache"))
    assert train(compose([*tiny, f"corpus.root={moved / 'corpus.csv'}"]).config).id == run.id
    rows = list(csv.reader((moved / "corpus.csv").open()))
    rows[1][1] = "low"
    with (moved / "corpus.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    assert train(compose([*tiny, f"corpus.root={moved / 'corpus.csv'}"]).config).id != run.id


class StopAfter(StopRequest):
    """Asks for a stop in the middle of epoch 1."""

    def step_ends(self, trainer: Any) -> None:
        if trainer.current_epoch == 1:
            self.request("a test", 99)


def test_a_stopped_run_resumes_to_the_same_weights(tiny: list[str], tmp_path: Path) -> None:
    words = [*tiny, "model.dropout=0.3"]
    config = compose(words).config
    with pytest.raises(StoppedError) as caught:
        train(config, StopAfter())
    assert caught.value.exit_code == 99
    stopped = next(Path(config.runs_dir).glob("table-*"))
    assert not (stopped / "result.json").exists()
    assert "a test" in (stopped / "run.log").read_text().splitlines()[-1]
    resumed = train(config)
    whole = train(replace(config, runs_dir=str(tmp_path / "whole")))
    assert resumed.id == whole.id
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name
    assert resumed.predictions.read_text() == whole.predictions.read_text()
    assert [row["epoch"] for row in read_history(resumed.metrics)] == [0, 1, 2]


@pytest.mark.parametrize(("here", "used"), [(3, 2), (2, 2), (1, 1)])
def test_a_resumed_run_computes_with_the_threads_it_began_with(
    tiny: list[str], here: int, used: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """More would round otherwise; where there are fewer that is said."""
    config, seen = compose(tiny).config, set[int]()

    class Look(StopRequest):
        def step_ends(self, trainer: Any) -> None:
            seen.add(torch.get_num_threads())

    with threads(2), pytest.raises(StoppedError):
        train(config, StopAfter())
    capsys.readouterr()
    with threads(here):
        train(config, Look())
        assert torch.get_num_threads() == here
    assert seen == {used}
    told = "began with 2 threads and goes on with 1" in " ".join(capsys.readouterr().err.split())
    assert told == (here < 2)


def test_kill_9_in_an_epoch_and_again_gives_the_weights_of_an_uninterrupted_run(
    tiny: list[str], tmp_path: Path
) -> None:
    words = [*tiny, "training.max_epochs=60", "training.patience=null", "model.dropout=0.3"]
    child = Ser(["train", *words], tmp_path / "said")
    folder = until(lambda: list((tmp_path / "runs").glob("*/checkpoints/last.ckpt")), "an epoch")[0].parents[1]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (folder / "result.json").exists()
    assert str(child.pid) in (folder / ".lock").read_text()
    done = len(read_history(folder / "metrics.csv"))
    assert 0 < done < 60
    config = compose(words).config
    again = train(config)
    whole = train(replace(config, runs_dir=str(tmp_path / "whole")))
    assert again.path.resolve() == folder.resolve()
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(again)[name]), name
    assert again.predictions.read_text() == whole.predictions.read_text()
    assert [row["epoch"] for row in read_history(again.metrics)] == list(range(60))


def test_a_living_owner_is_named(tiny: list[str]) -> None:
    config = compose(tiny).config

    class Meddler(StopRequest):
        asked = False

        def step_ends(self, trainer: Any) -> None:
            with pytest.raises(UserError, match=f"process {os.getpid()} on .* is working on this run"):
                train(config)
            self.asked = True

    meddler = Meddler()
    train(config, meddler)
    assert meddler.asked


def test_a_nan_stops_the_run_with_its_utterances(tiny: list[str]) -> None:
    with pytest.raises(NonFiniteLossError, match=r"utterances s\d_(high|low)_\d"):
        train(
            compose(
                [
                    *tiny,
                    "training.learning_rate=1e38",
                    "training.optimizer=sgd",
                    "training.gradient_clip_val=null",
                ]
            ).config
        )


def test_another_seed_gives_another_result_and_the_same_seed_the_same(
    run: RunFolder, tiny: list[str], tmp_path: Path
) -> None:
    other = train(compose([*tiny, "seed=1"]).config)
    same = train(compose([*tiny, f"runs_dir={tmp_path / 'again'}"]).config)
    assert same.predictions.read_text() == run.predictions.read_text()
    assert other.predictions.read_text() != run.predictions.read_text()


def test_features_read_from_the_store_give_the_same_result(run: RunFolder, tiny: list[str], tmp_path: Path) -> None:
    mapped = train(
        compose(
            [*tiny, f"runs_dir={tmp_path / 'mapped'}", "training.keep_on_device=no", "training.num_workers=1"]
        ).config
    )
    assert mapped.id == run.id
    assert mapped.predictions.read_text() == run.predictions.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["model=ds_lstm"],
        ["model=fused"],
        ["model=cnn_lstm"],
        ["model=fused", "training.precision=bf16-mixed"],
        [
            "features.mfcc.normalise=utterance",
            "training.class_weights=balanced",
            "training.label_smoothing=0.1",
        ],
        [
            "model=ds_lstm",
            "model.hidden_dim=8",
            "training.spec_augment.time_masks=2",
            "training.spec_augment.mel_masks=1",
            "training.accumulate_grad_batches=2",
        ],
    ],
)
def test_models_and_options_run_through(tiny: list[str], words: list[str]) -> None:
    base = [word for word in tiny if not (word.startswith("model") and any(w.startswith("model=") for w in words))]
    result = train(compose([*base, *words, "training.max_epochs=1"]).config).read_result()
    assert result["validation"]["n"] == 6


def test_a_speaker_dependent_split_marks_the_result(tiny: list[str]) -> None:
    words = [word for word in tiny if not word.startswith("split.")]
    run = train(compose([*words, "split=random_kfold", "training.max_epochs=1"]).config)
    assert run.read_result()["labels"] == ["speaker_dependent"]


def test_an_accelerator_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match=r"training\.accelerator=cuda: not available"):
        find_device(Training(accelerator="cuda"))


def test_half_precision_on_a_cpu_is_an_error() -> None:
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        find_device(Training(accelerator="cpu", precision="16-mixed"))


def test_a_failure_after_the_training_does_not_train_again(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    config = compose([*tiny, "pictures=true"]).config
    with monkeypatch.context() as patched:
        patched.setattr("ser_lightning.runs.score.confusion_png", full)
        with pytest.raises(OSError, match="No space"):
            train(config)
    (stopped,) = Path(config.runs_dir).glob("table-*")
    assert not (stopped / "result.json").exists()
    best = (stopped / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    run = train(config)
    assert run.path.resolve() == stopped.resolve()
    assert (stopped / "checkpoints" / "best.ckpt").stat().st_mtime_ns == best
    assert run.read_result()["epochs"] == 3


def test_a_run_that_was_moved_keeps_its_best_epoch(tiny: list[str], tmp_path: Path) -> None:
    class Spoil(StopAfter):
        """From epoch 2 on the weights are noise, so that an earlier epoch stays the best."""

        def step_ends(self, trainer: Any) -> None:
            if trainer.current_epoch >= 2:
                with torch.no_grad():
                    for weight in trainer.lightning_module.model.parameters():
                        weight.zero_()

    words = [*tiny, "training.max_epochs=6", "training.learning_rate=0.02"]

    class StopInThird(StopRequest):
        def step_ends(self, trainer: Any) -> None:
            if trainer.current_epoch == 2:
                self.request("a test", 99)

    with pytest.raises(StoppedError):
        train(compose(words).config, StopInThird())
    (tmp_path / "runs").rename(tmp_path / "moved")
    run = train(compose([*words, f"runs_dir={tmp_path / 'moved'}"]).config, Spoil())
    rows = read_history(run.metrics)
    uars = [row["validation/uar"] or 0 for row in rows]
    assert max(uars[:2]) > max(uars[2:])
    losses = {epoch: row["validation/loss"] or 0 for epoch, row in enumerate(rows) if uars[epoch] == max(uars)}
    assert run.read_result()["checkpoint"]["epoch"] == min(losses, key=losses.__getitem__)
    assert run.read_result()["validation"]["uar"] == pytest.approx(max(uars), abs=1e-6)


def test_the_learning_rate_of_an_epoch_is_what_it_was_trained_with(tiny: list[str]) -> None:
    words = ["training.schedule=steps", "training.milestones=[1]", "training.gamma=0.1", "training.learning_rate=0.01"]
    rows = read_history(train(compose([*tiny, *words]).config).metrics)
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("number", "times", "code", "words_said"),
    [(signal.SIGTERM, 1, 143, "SIGTERM"), (signal.SIGINT, 1, 130, "SIGINT"), (signal.SIGINT, 2, 130, "interrupted")],
)
def test_a_signal_ends_the_command_with_its_code_and_the_run_resumable(
    tiny: list[str], tmp_path: Path, number: int, times: int, code: int, words_said: str
) -> None:
    words = [*tiny, "training.max_epochs=4000", "training.patience=null"]
    child = Ser(["train", *words], tmp_path / "said")
    until(lambda: list((tmp_path / "runs").glob("*/checkpoints/last.ckpt")), "an epoch")
    for _ in range(times):  # the second comes at once, before the step has ended at which the first would be heard
        child.send_signal(number)
        time.sleep(0.001)
    assert child.wait() == code
    assert words_said in child.said or times > 1, "where the step was faster than the second, the first was heard"
    assert "Traceback" not in child.said
    (run,) = (tmp_path / "runs").glob("table-*")
    assert (run / ".lock").read_text() == ""
    assert (run / "checkpoints" / "last.ckpt").exists()


def test_a_warning_before_the_first_step_is_no_progress(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was started again and got no further is not to be requeued once more."""
    config = compose(tiny).config

    def warned(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr("ser_lightning.runs.train.tracked", warned)
    with pytest.raises(StoppedError, match="SIGUSR1") as caught, stopping():
        train(config)
    assert not caught.value.progressed


def test_without_pictures_none_is_drawn_and_it_is_the_same_run(tiny: list[str]) -> None:
    run = train(compose([*tiny, "pictures=false", "training.max_epochs=1"]).config)
    assert evaluate(run).read_result()["test"]
    assert not list(run.path.glob("*.png"))
    assert train(compose([*tiny, "pictures=true", "training.max_epochs=1"]).config).path == run.path


def test_what_the_corpus_warns_of_is_said_in_a_line_a_kind(
    tiny: list[str], tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(tiny_corpus.parent / row["path"], row["label"], row["speaker"]) for row in read_csv(tiny_corpus)]
    changed = [(path, "[hi]" if "_high_2" in path.name else label, speaker) for path, label, speaker in rows]
    write_csv(tmp_path / "own.csv", ("path", "label", "speaker", "Text"), [(*row, "") for row in changed])
    words = [f"corpus.root={tmp_path / 'own.csv'}", "corpus.labels={'[hi]': '[high]'}", "training.max_epochs=1"]
    train(compose([*tiny, *words]).config)
    said = capsys.readouterr().err
    assert "left out: 6 files whose labels are not in corpus.classes (6 of [high])" in said
    assert "warning: 2 alike: " in said and "the column 'Text' is not used; did you mean 'text'?" in said
