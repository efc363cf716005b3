"""The feature store seen from the command line: what is computed again, and what is removed."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.errors import UserError
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.verbs import collect_features, fill_features, verify_features
from ser_lightning.runs.prepare import prepare

N = 36
"""Utterances of the tiny corpus."""


@pytest.fixture
def words(tiny: list[str], tiny_corpus: Path, tmp_path: Path) -> list[str]:
    """The tiny corpus in a copy of its own, three streams, an empty store."""
    shutil.copytree(tiny_corpus.parent, tmp_path / "corpus", ignore=shutil.ignore_patterns("cache"))
    return [*tiny, f"corpus.root={tmp_path / 'corpus' / 'corpus.csv'}", f"cache_dir={tmp_path / 'cache'}"]


def filled(words: list[str], *more: str) -> dict[str, int]:
    return dict(fill_features(compose([*words, *more]).config))


def segments_of(words: list[str], stream: str) -> list[Path]:
    prepared = prepare(compose(words).config)
    return sorted(prepared.store.folder_of(prepared.extractors[stream]).glob("*.safetensors"))


def age(folder: Path, hours: float = 2) -> None:
    for path in folder.rglob("*.safetensors"):
        os.utime(path, (time.time() - hours * 3600,) * 2)


def test_exactly_what_changed_is_computed_again(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"mfcc": 0, "fine": 0, "coarse": 0}
    assert filled(words) == {"mfcc": N, "fine": N, "coarse": N}
    assert filled(words) == none
    # A parameter of one stream, and back.
    assert filled(words, "features.fine.hop=200") == none | {"fine": N}
    assert filled(words) == none
    # What has no part in the features.
    assert filled(words, "features.fine.frames=20", "features.fine.normalise=none", "seed=3") == none
    # One file.
    soundfile.write(tmp_path / "corpus" / "s0_high_0.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 8000), 16000)
    assert filled(words) == {"mfcc": 1, "fine": 1, "coarse": 1}
    # One file under another name, with another speaker's label: the audio is known.
    table = tmp_path / "corpus" / "corpus.csv"
    (tmp_path / "corpus" / "s1_low_0.wav").rename(tmp_path / "corpus" / "renamed.wav")
    table.write_text(table.read_text().replace("s1_low_0.wav,low", "renamed.wav,high"))
    assert filled(words) == none
    # A raised version of one extractor.
    monkeypatch.setattr(MFCC, "version", MFCC.version + 1)
    assert filled(words) == none | {"mfcc": N}


def test_workers_are_a_key_of_the_configuration(words: list[str]) -> None:
    assert filled(words, "extraction_workers=2") == {"mfcc": N, "fine": N, "coarse": N}
    assert len(segments_of(words, "mfcc")) == 2
    assert filled(words) == {"mfcc": 0, "fine": 0, "coarse": 0}


def test_verify_removes_what_is_broken_and_it_alone_is_computed_again(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ser_lightning.features.extract.SEGMENT_UTTERANCES", 10)
    filled(words)
    verify_features(compose(words).config)
    flipped, cut = segments_of(words, "mfcc")[0], segments_of(words, "fine")[0]
    before = {path: path.read_bytes() for path in (flipped, cut)}
    lost: dict[Path, int] = {}
    prepared = prepare(compose(words).config)
    digests = [u.digest for u in prepared.corpus.utterances]
    for stream, path in (("mfcc", flipped), ("fine", cut)):
        reader = prepared.store.reader(prepared.extractors[stream])
        lost[path] = sum(reader.path(digest) == path for digest in digests)
    data = bytearray(before[flipped])
    data[-5] ^= 16
    flipped.write_bytes(data)
    cut.write_bytes(before[cut][:-1000])
    capfd.readouterr()
    with pytest.raises(UserError, match="2 files were broken") as caught:
        verify_features(compose(words).config)
    assert caught.value.exit_code != 0
    shown = capfd.readouterr().out
    assert flipped.name in shown and cut.name in shown
    assert f"mfcc: {lost[flipped]} of {N} utterances to be computed" in shown
    assert f"coarse: 0 of {N} utterances to be computed" in shown
    assert filled(words) == {"mfcc": lost[flipped], "fine": lost[cut], "coarse": 0}
    # The same utterances make the same segments again.
    assert {path: path.read_bytes() for path in before} == before
    verify_features(compose(words).config)


def test_the_command_ends_with_a_code_when_something_was_broken(words: list[str]) -> None:
    filled(words)
    assert main(["features", "verify", *words]) == 0
    segments_of(words, "coarse")[0].write_bytes(b"")
    assert main(["features", *words]) == 1
    assert main(["features", "verify", *words]) == 1
    assert main(["features", *words]) == 0
    assert main(["features", "verify", *words]) == 0


def test_gc_lists_and_then_removes_what_the_configuration_does_not_need(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    filled(words, "features.fine.hop=200")
    other = set(segments_of([*words, "features.fine.hop=200"], "fine"))
    filled(words)
    store = tmp_path / "cache" / "features"
    age(store)
    everything = set(store.rglob("*.safetensors"))
    found = collect_features(compose(words).config)
    assert set(found.old) == other
    assert sum(found.old.values()) == sum(path.stat().st_size for path in other)
    assert set(store.rglob("*.safetensors")) == everything
    assert "would be removed; add --remove" in capfd.readouterr().out
    assert main(["features", "gc", "--remove", *words]) == 0
    assert set(store.rglob("*.safetensors")) == everything - other
    assert "1 unneeded files" in capfd.readouterr().out
    assert filled(words) == {"mfcc": 0, "fine": 0, "coarse": 0}


def test_gc_leaves_what_another_process_has_just_used(words: list[str], tmp_path: Path) -> None:
    filled(words, "features.fine.hop=200")
    age(tmp_path / "cache" / "features")
    assert filled(words, "features.fine.hop=200") == {"mfcc": 0, "fine": 0, "coarse": 0}
    found = collect_features(compose(words).config, remove=True)
    assert (found.old, found.young) == ({}, 1)
