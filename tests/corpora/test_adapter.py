"""Which files of a folder belong to a corpus."""

from pathlib import Path

import pytest

from ser_lightning.corpora.adapter import audio_files, existing
from ser_lightning.errors import UserError


def test_hidden_files_and_other_formats_are_not_audio(tmp_path: Path) -> None:
    wanted = ["a/1.wav", "a/2.FLAC", "b/3.wav"]
    ignored = ["a/._1.wav", ".git/4.wav", "__MACOSX/a/1.wav", "a/notes.txt", "a/5.mp4"]
    for name in wanted + ignored:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(audio_files(tmp_path)) == [tmp_path / name for name in wanted]


def test_linked_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/1.wav").touch()
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a").symlink_to(tmp_path / "store")
    (tmp_path / "corpus/circle").symlink_to(tmp_path / "corpus")
    assert list(audio_files(tmp_path / "corpus")) == [tmp_path / "corpus/a/1.wav"]


def test_a_missing_root_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist; set corpus\.root"):
        existing(str(tmp_path / "nowhere"))
