"""One small corpus with everything wrong with it, and the promise to read nothing twice."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.audio import look
from ser_lightning.corpora.report import warnings
from ser_lightning.corpora.scan import CorpusError, scan
from ser_lightning.corpora.utterance import Entry
from ser_lightning.errors import ConfigError, UserError

Make = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def corpus(tmp_path: Path, wav: Write) -> Path:
    folder = tmp_path / "corpus"
    for number, name in enumerate(["03a01Fa", "03a01Na", "08a01Fa", "08a01Wa", "08a01Ta"]):
        wav(folder / f"wav/{name}.wav", number)
    return folder


def kinds(found: Any) -> list[tuple[str, str]]:
    return sorted((problem.kind, problem.path.name) for problem in found.problems)


def test_utterances_are_sorted_and_whole(tmp_path: Path, corpus: Path, configured: Make, wav: Write) -> None:
    wav(corpus / "wav/03a01Nb.wav", 9, frames=4000)
    found = scan(configured("emodb", root=str(corpus), classes=["happiness", "neutral"]), tmp_path)
    assert [u.id for u in found.utterances] == ["03a01Fa", "03a01Na", "03a01Nb", "08a01Fa"]
    last = found.utterances[2]
    assert (last.speaker, last.session, last.label, last.text) == ("03", "", "neutral", "a01")
    assert (last.seconds, last.sample_rate, last.channels) == (0.25, 16_000, 1)
    assert found.left_out == {"anger": 1, "sadness": 1}
    assert found.problems == ()
    found.check()


def test_every_problem_is_reported_at_once(tmp_path: Path, corpus: Path, configured: Make, wav: Write) -> None:
    wav(corpus / "wav/09a01Fa.wav", 20, peak=0.009)
    wav(corpus / "wav/09a01Na.wav", 21, frames=0)
    wav(corpus / "wav/09a01Xa.wav", 22)
    wav(corpus / "wav/hello.wav", 23)
    wav(corpus / "wav/old/03a01Fa.wav", 24)
    shutil.copy(corpus / "wav/08a01Wa.wav", corpus / "wav/08a02Wa.wav")
    (corpus / "wav/09a02Fa.wav").write_text("not audio, not audio, not audio, not audio")
    (corpus / "wav/09a03Fa.wav").symlink_to(tmp_path / "gone.wav")
    found = scan(configured("emodb", root=str(corpus)), tmp_path)
    assert kinds(found) == [
        ("broken", "09a02Fa.wav"),
        ("broken", "09a03Fa.wav"),
        ("duplicate", "08a01Wa.wav"),
        ("empty", "09a01Na.wav"),
        ("misnamed", "09a01Xa.wav"),
        ("misnamed", "hello.wav"),
        ("near_silent", "09a01Fa.wav"),
        ("twice", "wav"),
    ]
    assert {u.id for u in found.utterances} >= {"09a01Fa", "08a01Wa", "08a02Wa"}
    with pytest.raises(CorpusError) as caught:
        found.check()
    message = str(caught.value)
    assert "in all 2 broken, 1 empty, 2 misnamed, 1 twice" in message
    assert "no file of class boredom, disgust, fear" in message
    assert "near_silent" not in message and "duplicate" not in message


def test_duplicates_and_quiet_files_are_no_reason_to_stop(
    tmp_path: Path, corpus: Path, configured: Make, wav: Write
) -> None:
    shutil.copy(corpus / "wav/08a01Wa.wav", corpus / "wav/09a01Wa.wav")
    wav(corpus / "wav/08a02Wa.wav", 5, peak=0.009)
    wav(corpus / "wav/08a03Wa.wav", 5, peak=0.011)
    found = scan(configured("emodb", root=str(corpus), classes=["anger"]), tmp_path)
    assert kinds(found) == [("duplicate", "08a01Wa.wav"), ("near_silent", "08a02Wa.wav")]
    found.check()


def test_one_recording_under_two_labels_is_fatal(tmp_path: Path, corpus: Path, configured: Make) -> None:
    shutil.copy(corpus / "wav/08a01Wa.wav", corpus / "wav/09a01Ta.wav")
    found = scan(configured("emodb", root=str(corpus)), tmp_path)
    assert [(p.kind, p.fatal) for p in found.problems] == [("two_labels", True)]
    with pytest.raises(CorpusError, match=r"same audio as 09a01Ta \(labelled anger and sadness\)"):
        found.check()


@dataclasses.dataclass
class Own:
    """An adapter of somebody else's."""

    root: str
    names: list[tuple[str, str, str, str]]
    classes: list[str] = dataclasses.field(default_factory=lambda: ["happy"])
    labels: dict[str, str] = dataclasses.field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        for i, (name, speaker, session, label) in enumerate(self.names):
            yield Entry(name, Path(self.root) / f"{i}.wav", speaker, session, label, "")


def test_names_of_every_adapter_are_cleaned(tmp_path: Path, wav: Write) -> None:
    wav(tmp_path / "0.wav", 0)
    found = scan(Own(str(tmp_path), [("\ufeffa", "Zoe\u0308", "1\u00a0", "hap\u00adpy")]), tmp_path / "cache")
    assert [(u.id, u.speaker, u.session, u.label) for u in found.utterances] == [("a", "Zo\u00eb", "1", "happy")]


def test_names_that_are_almost_equal_are_warned_of(tmp_path: Path, wav: Write) -> None:
    names = [("a1", "7", "s", "happy"), ("A1", "007", "S", "happy"), ("b", "anna", "", "Hapy"), ("c", "x", "", "sad")]
    for i in range(4):
        wav(tmp_path / f"{i}.wav", i)
    found = scan(Own(str(tmp_path), names), tmp_path / "cache")
    assert [p.kind for p in found.problems] == ["alike"] * 4
    details = " | ".join(p.detail for p in found.problems)
    for says in ("speakers `007` and `7`", "sessions `S` and `s`", "ids `A1` and `a1`", "1 files are labelled `Hapy`"):
        assert says in details
    assert "did you mean `happy`" in details and "sad" not in details
    found.check()
    assert list(warnings(found)) == [
        "left out: 2 files whose labels are not in corpus.classes (1 of Hapy, 1 of sad)",
        f"warning: 4 alike: {tmp_path}: {found.problems[0].detail}; `ser corpus` with the same words lists them all",
    ]


def test_an_unchanged_corpus_is_not_read_again(
    tmp_path: Path, corpus: Path, configured: Make, wav: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = configured("emodb", root=str(corpus))
    first = scan(adapter, tmp_path / "cache")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("audio was read")

    with monkeypatch.context() as patch:
        patch.setattr("ser_lightning.corpora.scan.look", fail)
        assert scan(adapter, tmp_path / "cache") == first
    wav(corpus / "wav/03a01Fa.wav", 77, frames=801)
    with monkeypatch.context() as patch:
        patch.setattr("ser_lightning.corpora.scan.look", fail)
        with pytest.raises(AssertionError, match="audio was read"):
            scan(adapter, tmp_path / "cache")
    assert scan(adapter, tmp_path / "cache").utterances[0].seconds == 801 / 16_000


def test_what_was_read_before_an_interruption_is_kept(
    tmp_path: Path, corpus: Path, configured: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def interrupted(path: Path) -> Any:
        read.append(path.name)
        if len(read) == 4:
            raise KeyboardInterrupt
        return look(path)

    monkeypatch.setattr("ser_lightning.corpora.scan.look", interrupted)
    adapter = configured("emodb", root=str(corpus))
    with pytest.raises(KeyboardInterrupt):
        scan(adapter, tmp_path / "cache")
    scan(adapter, tmp_path / "cache")
    assert len(read) == 4 + 2


def test_the_manifest_digest_knows_content_and_no_paths(
    tmp_path: Path, corpus: Path, configured: Make, wav: Write
) -> None:
    def digest(root: Path, **overrides: Any) -> str:
        return str(scan(configured("emodb", root=str(root), **overrides), tmp_path / "cache").manifest_digest)

    first = digest(corpus)
    moved = shutil.copytree(corpus, tmp_path / "elsewhere")
    assert digest(moved) == first
    assert digest(corpus, classes=["anger", "happiness", "neutral", "sadness"]) != first
    wav(moved / "wav/03a01Fa.wav", 99)
    assert digest(moved) != first


@pytest.mark.parametrize("field", ["id", "digest", "speaker", "session", "label", "text"])
def test_the_manifest_digest_knows_every_column(tmp_path: Path, corpus: Path, configured: Make, field: str) -> None:
    found = scan(configured("emodb", root=str(corpus)), tmp_path)
    change: dict[str, Any] = {field: "other"}
    changed = dataclasses.replace(found.utterances[0], **change)
    other = dataclasses.replace(found, utterances=(changed, *found.utterances[1:]))
    assert other.manifest_digest != found.manifest_digest


def test_an_empty_folder_and_no_folder(tmp_path: Path, configured: Make) -> None:
    with pytest.raises(CorpusError, match=r"holds no \.wav or \.flac file"):
        scan(configured("emodb", root=str(tmp_path)), tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        scan(configured("emodb", root=str(tmp_path / "nowhere")), tmp_path)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"corpus\.classes is empty"),
        (
            ["anger", "neutral", "anger"],
            r"corpus\.classes repeats anger; set corpus\.classes=\[anger,neutral\]",
        ),
    ],
)
def test_classes_that_are_none_or_repeated(
    tmp_path: Path,
    corpus: Path,
    configured: Make,
    monkeypatch: pytest.MonkeyPatch,
    classes: list[str],
    message: str,
) -> None:
    opened: list[object] = []
    monkeypatch.setattr("ser_lightning.corpora.scan.look", opened.append)
    with pytest.raises(ConfigError, match=message):
        scan(configured("emodb", root=str(corpus), classes=classes), tmp_path / "cache")
    assert opened == []
