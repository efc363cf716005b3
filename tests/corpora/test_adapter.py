"""Which files of a folder belong to a corpus."""

import errno
import os
from pathlib import Path

import pytest

from ser_lightning.corpora.adapter import audio_files, existing
from ser_lightning.errors import UserError

from ..rights import ordinary


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


def tree(root: Path) -> Path:
    for actor in ("Actor_01", "Actor_02", "Actor_03"):
        (root / actor).mkdir(parents=True)
        (root / actor / "1.wav").touch()
    return root


def test_folders_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "corpus")
    closed = [root / "Actor_01", root / "Actor_03"]
    with ordinary():
        closed[0].chmod(0)
        with pytest.raises(UserError, match=rf"^{closed[0]}: cannot be read \(Permission denied\)"):
            list(audio_files(root))
        closed[1].chmod(0)
        with pytest.raises(UserError) as caught:
            list(audio_files(root))
        root.chmod(0)
        with pytest.raises(UserError, match=rf"{closed[0]}: cannot be read"):
            existing(str(closed[0]))
        root.chmod(0o700)
    for folder in closed:
        folder.chmod(0o700)
    assert str(caught.value).splitlines()[1:] == [f"  {folder}: Permission denied" for folder in closed]
    assert len(list(audio_files(root))) == 3


def test_links_to_folders_that_are_gone_or_closed_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "corpus")
    (root / "README.md").symlink_to(tmp_path / "gone.md")
    assert len(list(audio_files(root))) == 3
    (root / "Actor_04").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"Actor_04: cannot be read \(No such file or directory\)"):
        list(audio_files(root))
    (root / "Actor_04").unlink()
    tree(tmp_path / "closed")
    (root / "Actor_05").symlink_to(tmp_path / "closed/Actor_01")
    (tmp_path / "closed").chmod(0)
    with ordinary(), pytest.raises(UserError, match=r"Actor_05: cannot be read \(Permission denied\)"):
        list(audio_files(root))
    (tmp_path / "closed").chmod(0o700)


def test_a_storage_that_fails_while_a_folder_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system here fails at will: what it would raise is raised for one folder."""
    root, real = tree(tmp_path / "corpus"), os.scandir

    def failing(path: str) -> object:
        if Path(path).name == "Actor_02":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(UserError, match=r"Actor_02: cannot be read \(Input/output error\)"):
        list(audio_files(root))
