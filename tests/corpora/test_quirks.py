"""What copies of RAVDESS are known to have wrong with them, in one copy of real files: all of it is found."""

import shutil
from pathlib import Path

import pytest

from ser_lightning.cli import main


@pytest.fixture
def copy(real_speech: Path, tmp_path: Path) -> Path:
    """The nine originals (five stereo, an identical pair, odd chunks) and a quiet file; then what is planted."""
    root = tmp_path / "ravdess"
    shutil.copytree(real_speech / "originals/ravdess", root)
    shutil.copy(real_speech / "ravdess/Actor_20/03-01-02-02-02-02-20.flac", root / "Actor_20")
    shutil.copytree(root, tmp_path / "again")
    shutil.move(tmp_path / "again", root / "audio_speech_actors_01-24")
    shutil.move(root / "Actor_01/03-01-05-02-02-02-01.wav", root / "Actor_07")
    return root


def test_ser_corpus_finds_every_quirk(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", "corpus=ravdess", f"corpus.root={copy}"]) == 1
    shown = capsys.readouterr().out
    # The misplaced file is found at its right place in the second tree, and so is the one without a twin.
    assert "10 utterances, 4 speakers" in shown
    assert "1 at 16000 Hz mono, 4 at 48000 Hz mono, 5 at 48000 Hz stereo" in shown
    assert f"error: 1 twice\n  {copy}: 9 files are also in {copy / 'audio_speech_actors_01-24'}, such as" in shown
    misplaced = copy / "Actor_07/03-01-05-02-02-02-01.wav"
    assert f"error: 1 misnamed\n  {misplaced}: the name says actor 01, the folder Actor_07" in shown
    pair = copy / "Actor_07/03-01-03-01-02-01-07.wav"
    assert f"warning: 1 duplicate\n  {pair}: the same audio as 03-01-03-01-02-02-07" in shown
    assert f"warning: 1 near_silent\n  {copy / 'Actor_20/03-01-02-02-02-02-20.flac'}: peaks at" in shown
