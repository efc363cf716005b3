"""Every command of the README and of docs/ runs: the paper's experiments in test_real_speech.py, the others here."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ser_lightning.cli import main

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
BLOCKS = [block for text in PAGES.values() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
LINES = list(dict.fromkeys(line for block in BLOCKS for line in block.splitlines() if line))
COMMANDS = [line.partition("  #")[0].strip() for line in LINES]
SER = [command for command in COMMANDS if command.startswith("ser ")]
QUICK = ["training.max_epochs=1", "training.limit_train_batches=1", "training.batch_size=4"]


def test_nothing_in_a_block_is_left_out() -> None:
    others = set(COMMANDS) - set(SER)
    assert others == {"make demo", "make test", ". .venv/bin/activate", "wandb leet runs/RUN/wandb"}


@pytest.mark.parametrize("target", ["demo", "test", "slow", "bench", "install"])
def test_make_targets_are_there(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_speakers: Path, speech_cache: Path, tiny_corpus: Path
) -> dict[str, str]:
    """Stands in a folder where features of real speech may be; what the README's capitals mean there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ser_cache").symlink_to(speech_cache)
    return {"PATH": str(few_speakers), "my.csv": str(tiny_corpus), "[angry,calm]": "[high,low]"}


ELSEWHERE = (
    "evaluate",
    "crossval",
    "compare",
    "fuse",
    "report",
    "reproduce",
    "sweep",
    "worker",
    "study",
    "finalize",
    "doctor",
    "submit",
    "logs",
    "sync",
    "wandb",
)
"""Verbs that are tested below, in tests/reproduce/, tests/slurm/ and tests/tracking/."""


def here(command: str) -> bool:
    """Whether the next test runs it; the paper's sizes are run in test_real_speech.py, partitions in tests/data/."""
    words = command.split()
    return words[1] not in ELSEWHERE and not any(word.startswith(("experiment=paper", "split.file=")) for word in words)


@pytest.mark.parametrize("command", [command for command in SER if here(command)])
def test_ser_commands(command: str, place: dict[str, str]) -> None:
    for name, meant in place.items():
        command = command.replace(name, meant)
    words = shlex.split(command)[1:]
    trains = words[0] == "train" and "--help" not in words
    assert main([*words, *(QUICK if trains else [])]) == 0
    if trains:
        run = next(Path("runs").glob("*-*"))
        assert main(["evaluate", run.name]) == 0
        assert "test" in (run / "result.json").read_text()


def test_from_crossval_to_an_opened_report(place: dict[str, str]) -> None:
    """The section's commands in their order, each name taken from where the text says that it stands."""
    section = TEXT.partition("## Compare")[2].partition("\n## ")[0]
    lines = [line.partition("  #")[0].strip() for line in section.splitlines() if line.startswith("ser ")]
    assert [shlex.split(line)[1] for line in lines] == [*["crossval"] * 2, "compare", "fuse", "report"]
    for line in lines[:2]:
        assert main([*shlex.split(line.replace("PATH", place["PATH"]))[1:], *QUICK, "tracking.mode=off"]) == 0
    names = sorted(path.name for path in Path("crossval").iterdir())
    for line in lines[2:]:
        assert main([*shlex.split(line)[1:2], *names]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)
    assert len(list(Path("fusions").iterdir())) == 1


def test_from_a_sweep_to_its_winner(place: dict[str, str]) -> None:
    section = TEXT.partition("## Sweeps")[2].partition("\n## ")[0]
    lines = [line.partition("  #")[0].strip() for line in section.splitlines() if line.startswith("ser ")]
    assert [shlex.split(line)[1] for line in lines] == ["sweep", "worker", "study", "report", "finalize"]
    begin, *later = [shlex.split(line.replace("PATH", place["PATH"]))[1:] for line in lines]
    assert main([*begin, "study.trials=2", *QUICK, "tracking.mode=off"]) == 0
    for words in later:
        assert main([*words, *(["seeds=1"] if words[0] == "finalize" else [])]) == 0
    assert "quick" in Path("report.html").read_text(encoding="utf-8")
    assert main(["config", "experiment=quick", f"corpus.root={place['PATH']}"]) == 0


def test_python_example(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    quick = code.replace(
        '"experiment=demo_fused"',
        f'"experiment=demo_fused", "corpus.speakers=5", "corpus.utterances=1", {", ".join(map(repr, QUICK))}',
    )
    done = subprocess.run([sys.executable, "-c", quick], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 0 <= float(done.stdout) <= 1


@pytest.mark.parametrize(
    "row", re.findall(r"^\| .* \| (`.*`.*) \|$", PAGES[ROOT / "docs" / "configuration.md"], re.MULTILINE)
)
def test_overrides_of_the_table_compose(row: str) -> None:
    for group in re.findall(r"`([^`]*=[^`]*)`", row):
        words = [word for word in shlex.split(group) if not word.endswith("...")]
        assert main(["config", "corpus=demo", *words]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pictures_and_links_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)h#][^)#]*)(?:#[^)]*)?\)", PAGES[page]):
        assert (page.parent / target).exists(), target


def test_the_readme_is_one_page() -> None:
    assert len(TEXT.split()) <= 1200
