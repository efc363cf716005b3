"""The test part is scored by `ser evaluate` alone, once, and the look is recorded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder, open_run
from ser_lightning.runs.train import train
from ser_lightning.runs.vault import FILE as LOOKS


@pytest.fixture
def run(trained: RunFolder) -> RunFolder:
    return trained


def test_test_rows_and_figures_are_added_and_validation_stays(run: RunFolder) -> None:
    before = run.read_result()
    evaluate(run)
    after, found = run.read_result(), Predictions.read(run.predictions)
    assert after == {**before, "test": after["test"], "last_epoch": after["last_epoch"]}
    assert after["test"] == json.loads(json.dumps(found.part("test").scores().as_dict()))
    assert after["validation"] == json.loads(json.dumps(found.part("validation").scores().as_dict()))
    tested = {row["id"] for row in read_csv(run.split) if row["part"] == "test"}
    assert set(found.part("test").ids) == tested
    assert run.confusion("test").exists()


def test_the_kept_checkpoint_is_what_is_evaluated(run: RunFolder, tiny: list[str]) -> None:
    evaluate(run)
    saved = torch.load(run.checkpoints / "best.ckpt", weights_only=True)
    for name, tensor in saved["state_dict"].items():
        if name.startswith("model."):
            tensor.zero_()
    torch.save(saved, run.checkpoints / "best.ckpt")
    result = run.read_result()
    del result["test"]
    run.result.write_text(json.dumps(result))
    evaluate(run)
    assert np.ptp(Predictions.read(run.predictions).part("test").logits) == 0


def test_each_look_is_recorded_once(run: RunFolder) -> None:
    evaluate(run)
    evaluate(run)
    looks = read_csv(run.path.parent / LOOKS)
    assert [look["run"] for look in looks] == [run.id]
    assert set(json.loads(looks[0]["test_speakers"])) <= {
        row["speaker"] for row in read_csv(run.split) if row["part"] == "test"
    }


def test_a_changed_corpus_is_refused(run: RunFolder, tiny_corpus: Path, tmp_path: Path) -> None:
    for path in tiny_corpus.parent.glob("*.*"):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / path.name).write_bytes(path.read_bytes())
    soundfile.write(tmp_path / "other" / "s0_low_0.wav", np.random.default_rng(9).normal(0, 0.1, 9000), 16000)
    _, config = open_run(str(run.path), [f"corpus.root={tmp_path / 'other' / 'corpus.csv'}"])
    with pytest.raises(UserError, match=r"not the one run .* was trained on"):
        evaluate(run, config)
    assert not (run.path.parent / LOOKS).exists()


def test_an_override_that_makes_another_run_is_refused(run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="would make another run"):
        open_run(str(run.path), ["model.hidden_dim=9"])


def test_by_name_from_the_command_line(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", run.id, f"runs_dir={run.path.parent}"]) == 0
    assert main(["evaluate", "nothing", f"runs_dir={run.path.parent}"]) == 1
    said = capsys.readouterr()
    assert "confusion_test.png" in said.out
    assert f"no run `nothing` under {run.path.parent}/; there are {run.id}\n" in said.err


def test_an_unfinished_run_is_refused(run: RunFolder) -> None:
    run.result.unlink()
    with pytest.raises(UserError, match="is not finished"):
        evaluate(run)


def test_a_split_that_was_changed_is_refused(run: RunFolder) -> None:
    before = run.split.read_text()
    run.split.write_text(before.replace(",train", ",test", 1))
    with pytest.raises(UserError, match=r"stand in two parts|is not the split"):
        evaluate(run)
    run.split.write_text("\n".join(before.splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match="is not the split"):
        evaluate(run)
    assert not (run.path.parent / LOOKS).exists()


def test_another_result_version_is_refused(run: RunFolder) -> None:
    run.result.write_text(json.dumps(run.read_result() | {"result_version": 0}))
    with pytest.raises(UserError, match="of result version 0"):
        evaluate(run)


def test_a_copied_folder_is_a_run_and_one_without_its_checkpoint_is_named(run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "copy" / run.id)
    copied, config = open_run(str(tmp_path / "copy" / run.id))
    assert "test" in evaluate(copied, config).read_result()
    (run.checkpoints / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"best\.ckpt is gone"):
        evaluate(run)


def test_the_folder_one_stands_in_is_a_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path)
    assert open_run(".")[0].id == run.id


def test_the_last_epoch_stands_beside_what_was_chosen(run: RunFolder) -> None:
    evaluate(run)
    last = Predictions.read(run.last_epoch)
    assert run.read_result()["last_epoch"] == json.loads(json.dumps(last.scores().as_dict()))
    assert list(last.ids) == list(Predictions.read(run.predictions).part("test").ids)
    chosen, final = (torch.load(run.checkpoints / f"{name}.ckpt", weights_only=True) for name in ("best", "last_epoch"))
    assert final["epoch"] == run.read_result()["epochs"] - 1 >= chosen["epoch"]
    assert not (run.checkpoints / "last.ckpt").exists()
    assert set(final) == {"state_dict", "epoch"}


def test_the_figure_selected_on_test_is_made_on_request_alone(run: RunFolder, tiny: list[str]) -> None:
    evaluate(run)
    assert "selected_on_test" not in run.read_result()
    every = evaluate(train(compose([*tiny, "training.keep_epochs=true"]).config))
    result, test = every.read_result(), Predictions.read(every.predictions).part("test")
    with np.load(every.test_epochs) as kept:
        logits, epochs = kept["logits"], kept["epochs"].tolist()
    assert epochs == [0, 1, 2]
    np.testing.assert_allclose(logits[result["checkpoint"]["epoch"]], test.logits, atol=1e-5)
    np.testing.assert_allclose(logits[-1], Predictions.read(every.last_epoch).logits, atol=1e-5)
    truth = np.array(test.labels)
    accuracy = [float(np.mean(np.array(test.classes)[z.argmax(1)] == truth)) for z in logits]
    assert result["selected_on_test"]["wa"] == max(accuracy)
    targets = torch.tensor([test.classes.index(name) for name in test.labels])
    losses = {
        epoch: torch.nn.functional.cross_entropy(torch.from_numpy(logits[epoch]), targets).item()
        for epoch in epochs
        if accuracy[epoch] == max(accuracy)
    }
    assert result["selected_on_test"]["wa_epoch"] == min(losses, key=losses.__getitem__)
    assert not list(every.checkpoints.glob("epoch_*"))
    (every.checkpoints / "epoch_000.ckpt").write_text("a kill came before this was removed")
    evaluate(every)
    assert not list(every.checkpoints.glob("epoch_*"))
    kinds = {look["run"]: look["kind"] for look in read_csv(every.path.parent / LOOKS)}
    assert kinds == {run.id: "chosen on validation", every.id: "every epoch"}
    assert len({look["configuration"] for look in read_csv(every.path.parent / LOOKS)}) == 1
