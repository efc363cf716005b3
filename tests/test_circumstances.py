"""Every verb in bad circumstances: whatever the system or a file says, it ends in a line and a code, no traceback."""

import io
import json
import logging
import os
import resource
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from ser_lightning.cli import VERBS, main
from ser_lightning.runs.folder import RunFolder

BYTES = b"\xff\xfe\x00broken"
LIST = b"[1, 2]\n"
EMPTY = b""
HALF = b'{"id": '


@dataclass(frozen=True)
class Place:
    """A folder with what the verbs work on: a finished run, a study's file, a sweep file, a table of a corpus."""

    path: Path
    words: Sequence[str]
    run: str

    @property
    def verbs(self) -> dict[str, list[str]]:
        """Words that have each verb read and write its files here."""
        demo = [*self.words[-5:], "corpus.root=demo_corpus", "corpus.speakers=3", "corpus.utterances=1"]
        table = [*self.words, "training.max_epochs=1"]
        folds = [*(word for word in table if not word.startswith("split.")), "split=kfold", "split.k=3"]
        return {
            "demo": [*demo, "split.validation=1", "split.test=1", "training.max_epochs=1"],
            "config": table,
            "corpus": table,
            "corpus fetch": ["corpus=cremad", "corpus.classes=[a,b]", f"corpus.root={self.path / 'corpus.csv'}"],
            "features": table,
            "features verify": table,
            "features gc": table,
            "train": table,
            "evaluate": [self.run],
            "crossval": folds,
            "compare": [self.run, "other", "markdown=compared.md"],
            "fuse": [self.run, "other"],
            "report": [self.run],
            "reproduce": ["paper", *(word for word in table if not word.startswith(("split.", "model")))],
            "sweep": ["search.yaml"],
            "worker": ["s"],
            "study": ["s"],
            "finalize": ["s"],
            "submit": ["train", "--dry-run", *table],
            "doctor": ["train", *table],
            "logs": [self.run],
            "sync": [self.run],
            "wandb view": [self.run],
            "runs list": [],
            "runs show": [self.run],
            "runs remove": [self.run],
        }


@pytest.fixture
def place(trained: RunFolder, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    shutil.copytree(trained.path, trained.path.with_name("other"))
    shutil.copy(tiny[1].partition("=")[2], tmp_path / "corpus.csv")
    sweep = {"study": {"trials": 1}, "base": [*tiny, "training.max_epochs=1"], "space": {"model.hidden_dim": [2, 4]}}
    (tmp_path / "search.yaml").write_text(json.dumps(sweep))
    (tmp_path / "studies" / "s").mkdir(parents=True)
    (tmp_path / "studies" / "s" / "study.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    words = [word for word in tiny if not word.startswith(("runs_dir", "cache_dir"))]
    return Place(tmp_path, [*words, "pictures=false", "runs_dir=runs", "cache_dir=cache", "seed=9"], trained.id)


def outcomes(place: Place, verbs: Sequence[str], prepare: Callable[[], object]) -> Mapping[str, tuple[object, str]]:
    """Of each verb its code, or the exception that escaped, and what it said, in a process that `prepare` prepared."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            told = _told(place, verbs, prepare)
        except BaseException:
            told = {"the test itself": ("", traceback.format_exc())}
        with os.fdopen(write, "w") as file:
            json.dump(told, file)
            file.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text)  # type: ignore[no-any-return]


def _told(place: Place, verbs: Sequence[str], prepare: Callable[[], object]) -> dict[str, tuple[object, str]]:
    logging.raiseExceptions = False  # of handlers that pytest has put on files, which may not grow
    prepare()
    found: dict[str, tuple[object, str]] = {}
    for verb in verbs:
        err, code = io.StringIO(), None
        with redirect_stdout(io.StringIO()), redirect_stderr(err):
            try:
                code = main([*verb.split(), *place.verbs[verb]])
            except BaseException:
                err.write(traceback.format_exc())
        found[verb] = (code, err.getvalue())
    return found


def spoil(content: bytes | None, *names: str) -> Callable[[], None]:
    """Put `content`, or a folder for None, in the place of each of these files (patterns)."""

    def done() -> None:
        for name in names:
            for path in list(Path().glob(name)) or [Path(name)]:
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir() if content is None else path.write_bytes(content)

    return done


def dangling(*names: str) -> Callable[[], None]:
    def done() -> None:
        for name in names:
            shutil.rmtree(name, ignore_errors=True)
            Path(name).symlink_to("nowhere/at/all")

    return done


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def gone() -> None:
    """The folder that we are in is removed."""
    Path("left").mkdir()
    os.chdir("left")
    Path("../left").rmdir()


ALL = tuple(VERBS)
STUDY = ("sweep", "worker", "study", "finalize")
"""On a disk that is full they wait, and say so, for minutes."""
READ = ("evaluate", "compare", "fuse", "report", "logs", "sync", "wandb view", "runs list", "runs show")
MADE = ("config", "corpus", "features", "train", "crossval", "submit", "doctor")
FOLDERS = ("runs", "cache", "studies", "crossval", "fusions", "demo_corpus", "slurm_logs")
TABLES, RECORDS, CONFIG = "runs/*/*.csv", "runs/*/*.json", "runs/*/config.yaml"
FROZEN = "studies/s/study.yaml"

CIRCUMSTANCES: Mapping[str, tuple[Callable[[], object], Sequence[str]]] = {
    "files in the places of folders": (spoil(EMPTY, *FOLDERS), ALL),
    "our folder is gone": (gone, ALL),
    "no file may grow": (limited(resource.RLIMIT_FSIZE, 0), [verb for verb in ALL if verb not in STUDY]),
    "bytes in runs": (spoil(BYTES, RECORDS, TABLES, "runs/*/attempt", "runs/*/run.log"), READ),
    "runs of empty files": (spoil(EMPTY, RECORDS, TABLES, CONFIG), READ),
    "bytes in conf": (spoil(BYTES, "conf/config.yaml"), MADE),
    "lists in conf": (spoil(LIST, "conf/config.yaml", "conf/slurm/default.yaml"), MADE),
    "lists in studies": (spoil(LIST, FROZEN, "search.yaml"), STUDY),
}
MORE: Mapping[str, tuple[Callable[[], object], Sequence[str]]] = {
    "links to nothing": (dangling(*FOLDERS), ALL),
    "few open files": (limited(resource.RLIMIT_NOFILE, 24), ("corpus", "features", "train", "report", "runs list")),
    "bytes in configurations of runs": (spoil(BYTES, CONFIG), READ),
    "bytes in tables of runs": (spoil(BYTES, TABLES, "runs/*/split_proof.json", "runs/test_looks.csv"), READ),
    "bytes in weights": (spoil(BYTES, "runs/*/checkpoints/*"), READ),
    "empty tables": (spoil(EMPTY, TABLES, "runs/*/environment.json"), READ),
    "halves of records": (spoil(HALF, RECORDS), READ),
    "lists in runs": (spoil(LIST, RECORDS, CONFIG), READ),
    "folders in the places of files": (spoil(None, RECORDS, TABLES), READ),
    "another program's configuration": (spoil(b"defaults: [_self_, {db: mysql}]\n", CONFIG), READ),
    "Hydra's defaults in conf": (
        spoil(b"defaults: [_self_, {db: mysql}, {override db: pg}]\n", "conf/config.yaml"),
        MADE,
    ),
    "a word for a list in conf": (spoil(b"defaults: mysql\n", "conf/config.yaml"), MADE),
    "sections that are none in conf": (spoil(b"model: 3\ntraining: [adam]\ncorpus:\n", "conf/config.yaml"), MADE),
    "folders in conf": (spoil(None, "conf/config.yaml", "conf/corpus/table.yaml", "conf/slurm/default.yaml"), MADE),
    "bytes in studies": (spoil(BYTES, FROZEN, "search.yaml"), STUDY),
    "empty studies": (spoil(EMPTY, FROZEN, "search.yaml"), STUDY),
    "studies of another shape": (
        spoil(b"{study: [1], base: {a: b}, space: [1]}", FROZEN, "search.yaml"),
        STUDY,
    ),
    "values of another shape": (
        spoil(b"{study: {trials: [1]}, base: 3, space: {a: 1}}", "search.yaml"),
        STUDY,
    ),
}


def test_every_verb_is_walked() -> None:
    assert {verb for _, verbs in CIRCUMSTANCES.values() for verb in verbs} == set(VERBS)


@pytest.mark.parametrize("name", [*CIRCUMSTANCES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_it_ends_in_a_line_and_a_code(name: str, place: Place) -> None:
    prepare, verbs = (CIRCUMSTANCES | MORE)[name]  # type: ignore[operator]
    found = outcomes(place, verbs, prepare)
    assert list(found) == list(verbs), found
    wrong = [
        f"{verb}: {code}\n{said[-2000:]}"
        for verb, (code, said) in found.items()
        if code is None or "Traceback" in said or (code and not said.splitlines()[-1].startswith("ser: "))
    ]
    assert not wrong, "\n\n".join(wrong)
    assert any(code for code, _ in found.values()), "nothing was wrong for anybody"
